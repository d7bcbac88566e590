"""What a report says, in its order: of each section the answer, tables and claims, and at the foot
when it was made, by what command, of which code and which runs."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Sequence
from pathlib import Path

from asd.documents.blocks import Block, CellLines, Heading, Line, Table, Text, plain_row
from asd.experiment.environment import git_commit
from asd.reporting.bootstrap import COMPARED, TRAININGS_NEEDED
from asd.reporting.claims import claims_table
from asd.reporting.compare import against, comparison_table, differences_table, seeds_of, too_few
from asd.reporting.costs import cost_table
from asd.reporting.factors import shares_table
from asd.reporting.faults import fault_tables
from asd.reporting.results import grid_table, id_table
from asd.reporting.sections import Section
from asd.scoring.tables import percent
from asd.secrets import redacted

_NAMED = 4  # how many a sentence names, before it only counts the rest
_SIMULATED = (
    "SIMULATED DATA: the sounds were made by a program. These figures say nothing of real "
    "machines and must not be read against the published ones."
)
_APART = "Not the paper's clips or not its scale: published numbers are no measure of these."
_SOURCES = "Whose published figures are, and what was chosen on test clips for them"
_NO_CLAIMS = "The paper's claims are checked on the whole real corpus at scale=paper only."


def table_blocks(section: Section) -> list[Block]:
    """A section's heading, its answer, what its data are, and its tables by machine type."""
    blocks: list[Block] = [Heading(section.label, 2), Text(verdict(section))]
    if section.simulated or not section.comparable:
        blocks.append(Text(_SIMULATED if section.simulated else _APART, "loud"))
    if section.data:
        blocks.append(Text(f"The corpus as in conf/data, but {' '.join(section.data)}."))
    if section.factors:
        blocks.append(cost_table(section))
    return [*blocks, *(grid_table(section, metric) for metric in COMPARED)]


def section_blocks(section: Section) -> list[Block]:
    """A section's headings, texts and tables; by machine ID and by fault they are folded."""
    blocks, systems = table_blocks(section), section.systems
    if commands := [row.command for row in section.rows if row.command]:
        blocks.append(Text("Missing runs; these commands fill them:"))
        blocks.append(Text("\n".join(commands), "commands"))
    if len(systems) > 1:
        blocks.append(Heading("Which differences are real?", 3))
        blocks += [differences_table(section, metric) for metric in COMPARED]
    if section.comparisons:
        blocks.append(Heading("Comparisons", 3))
        blocks += [comparison_table(section, comparison) for comparison in section.comparisons]
    if section.factors:
        shares = shares_table([*systems.values()], section.factors, section.label)
        blocks += [Heading("Which option matters?", 3), shares]
    else:
        blocks += [Heading("Quality and cost", 3), cost_table(section)]
    about = {label: section.declared.about[label] for label in section.declared.rows}
    if sources := [plain_row(label, of["source"]) for label, of in about.items() if "source" in of]:
        blocks.append(Table(["system", "published figures"], sources, _SOURCES, texts=2))
    if (claims := section.declared.claims) and section.comparable:
        blocks += [Heading("Claims", 3), claims_table(claims, systems, section.label)]
    elif claims:
        blocks += [Heading("Claims", 3), Text(_NO_CLAIMS)]
    blocks += [Heading("Further tables", 3), *(id_table(section, metric) for metric in COMPARED)]
    return [*blocks, *fault_tables(systems, section.label)]


def verdict(section: Section) -> str:
    """The answer in a sentence or two: what is best, and whether that is more than chance."""
    label = section.best("auc")
    if not label:
        return "No mean AUC is defined."
    costs = section.costs.set_index("system")
    aucs, losses = costs["auc"].map(percent), costs["validation_loss"]
    if len(costs) < 2:
        return f"Only {label} has runs: mean AUC {aucs[label]} %, nothing to compare with."
    seeds = seeds_of(section.systems[label]).removesuffix(f" of {label}")
    text = f"{label} has the highest mean AUC, {aucs[label]} % ({seeds})"
    signs = {n: against(section, "auc", label, n).get("sign") for n in costs.index if n != label}
    same = [name for name in signs if aucs[name] == aucs[label]]
    text += f", the same as {_listed(same)}" * bool(same)
    if section.shares_loss and losses.notna().all():
        chosen = str(losses.idxmin())
        loss = f"{losses[chosen]:.4g}; its AUC is {aucs[chosen]} %"
        text = f"{chosen} has the lowest validation loss, {loss}. {text}"
    worse = [name for name, sign in signs.items() if sign == 1]
    open_ = [name for name in signs if name not in worse]
    if worse:
        text += f". It is better than {_listed(worse)} by more than chance"
        text += f"; against {_listed(open_)} that is not decidable" * bool(open_)
    else:
        text += ". That it is better than any other is not shown"
    if few := [name for name in (label, *open_) if too_few(section.systems[name])]:
        which = "all" if len(few) == len(costs) else _listed(few)
        text += f" ({TRAININGS_NEEDED} seeds of each are needed; fewer: {which})"
    if (other := section.best("pauc")) != label and other:
        text += f". By pAUC {other} is first"
    return text + "."


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    mark = "; " if any("," in name for name in names) else ", "
    return mark.join([*names[:_NAMED], *([f"{more} more"] if more > 0 else [])])


def provenance(parts: Sequence[Section], words: Sequence[str], out: Path) -> list[Block]:
    """The foot of a report that will stand in ``out``, made by a command of these ``words``."""
    command = redacted(shlex.join(["python", "-m", "asd.report", *words]))
    rows: list[list[CellLines]] = []
    for label, run in ((row.label, run) for part in parts for row in part.rows for run in row.runs):
        folder = Line(run.folder.name, link=Path(os.path.relpath(run.folder, out)).as_posix())
        ended = plain_row(_time(run.finished), _short(run.commit))
        rows.append([*plain_row(label, str(run.seed)), [folder], *ended])
    commits = dict.fromkeys(row[-1][0].text for row in rows)
    text = (
        f"Made {_time(time.time())} UTC by: {command} (code of {_short(git_commit())}). "
        f"{len(rows)} runs, of code of {', '.join(commits)}."
    )
    header = ["row", "seed", "run", "ended, UTC", "commit"]
    table = Table(header, rows, texts=5, folded="The runs of this report")
    return [Heading("Provenance", 2), Text(text), table]


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds))


def _short(commit: str) -> str:
    return commit[:8] + "+changes" * ("+" in commit)
