"""What a report says, as blocks of a document: of each section its tables, comparisons and claims,
and at the foot when, by what command, of which code and which runs."""

from __future__ import annotations

import math
import os
import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from asd.documents.blocks import Block, CellLines, Heading, Kind, Line, Table, Text, plain_row
from asd.experiment.environment import git_commit
from asd.reporting.bootstrap import COMPARED, MEAN, TRAININGS_NEEDED
from asd.reporting.claims import HELD, NOT_HELD, check_claim
from asd.reporting.compare import NOT_DECIDABLE, seeds_of, too_few
from asd.reporting.factors import levels, share_a_loss, shares
from asd.reporting.faults import fault_tables
from asd.reporting.sections import COSTS, Section
from asd.scoring.metrics import figure_name
from asd.scoring.tables import NAMES, percent
from asd.secrets import redacted

# Which of the paper's tables hold it.
PAPER_TABLES = {"auc": "Table 1", "pauc": "Table 2"}
_ALL_PAIRS = 4  # rows up to which each is compared with each
_NAMED = 4  # how many a sentence names, before it only counts the rest
_KINDS: dict[str, Kind] = {HELD: "good", NOT_HELD: "bad", NOT_DECIDABLE: "missing"}
# A difference: only a verdict has a colour.
_LOOKS: dict[int, tuple[Kind, str]] = {
    1: ("good", "better"), -1: ("bad", "worse"), 0: ("text", NOT_DECIDABLE)
}  # fmt: skip
_SIMULATED = (
    "SIMULATED DATA: the sounds were made by a program. These figures say nothing of real "
    "machines and must not be read against the published ones."
)
_APART = "Not the paper's clips or not its scale: published numbers are no measure of these."
_SOURCES = "Whose published figures are, and what was chosen on test clips for them"
_NO_CLAIMS = "The paper's claims are checked on the whole real corpus at scale=paper only."
# Of quality and cost: what it is called, and as text.
_COLUMNS: dict[str, tuple[str, Callable[[float], str]]] = {
    **{metric: (NAMES[metric], percent) for metric in COMPARED},
    "validation_loss": ("validation loss", "{:.4g}".format),
    "proxy_auc": ("proxy AUC", percent),
    "training_seconds": ("training, s", "{:.4g}".format),
    "parameters": ("parameters", "{:,.0f}".format),
    "multiply_adds": ("multiply-adds a clip", "{:.3g}".format),
    "latency_ms": ("latency, ms", "{:.3g}".format),
    "energy_kj": ("energy, kJ", "{:.3g}".format),
}
_MISSING = Line("missing", "missing")


def table_blocks(section: Section) -> list[Block]:
    """A section's heading, its answer, what its data are, and its tables by machine type."""
    blocks: list[Block] = [Heading(section.label, 2), Text(verdict(section))]
    if section.simulated or not section.comparable:
        blocks.append(Text(_SIMULATED if section.simulated else _APART, "loud"))
    if section.data:
        blocks.append(Text(f"The corpus as in conf/data, but {' '.join(section.data)}."))
    if section.factors:
        blocks.append(cost_table(section))
    for metric in COMPARED:
        blocks.append(grid_table(section, metric))
    return blocks


def section_blocks(section: Section) -> list[Block]:
    """A section's headings, texts and tables; by machine ID and by fault they are folded."""
    blocks = table_blocks(section)
    if commands := [row.command for row in section.rows if row.command]:
        blocks.append(Text("Missing runs; these commands fill them:"))
        blocks.append(Text("\n".join(commands), "commands"))
    if len(section.systems) > 1:
        blocks.append(Heading("Which differences are real?", 3))
        blocks += [differences_table(section, metric) for metric in COMPARED]
    if section.comparisons:
        blocks.append(Heading("Comparisons", 3))
        blocks += [comparison_table(comparison, section) for comparison in section.comparisons]
    if section.factors:
        blocks += [Heading("Which option matters?", 3), shares_table(section)]
    else:
        blocks += [Heading("Quality and cost", 3), cost_table(section)]
    about = {label: section.declared.about[label] for label in section.declared.rows}
    if sources := [plain_row(label, of["source"]) for label, of in about.items() if "source" in of]:
        blocks.append(Table(["system", "published figures"], sources, _SOURCES, texts=2))
    if section.declared.claims:
        checked = claims_table(section) if section.comparable else Text(_NO_CLAIMS)
        blocks += [Heading("Claims", 3), checked]
    ids = [id_table(section, metric) for metric in COMPARED]
    return [*blocks, Heading("Further tables", 3), *ids, *fault_tables(section)]


def provenance(parts: Sequence[Section], words: Sequence[str], out: Path) -> list[Block]:
    """The foot of a report.

    Args:
        parts: its sections.
        words: that the program was given.
        out: where the report will stand; links to run folders are relative to it.
    """
    command = redacted(shlex.join(["python", "-m", "asd.report", *words]))
    rows: list[list[CellLines]] = []
    for label, run in ((row.label, run) for part in parts for row in part.rows for run in row.runs):
        folder = Line(run.folder.name, link=Path(os.path.relpath(run.folder, out)).as_posix())
        commit = _short(str(run.tags.get("mlflow.source.git.commit", "unknown")))
        ended = plain_row(_time(run.finished), commit)
        rows.append([*plain_row(label, str(run.seed)), [folder], *ended])
    commits = dict.fromkeys(row[-1][0].text for row in rows)
    text = (
        f"Made {_time(time.time())} UTC by: {command} (code of {_short(git_commit())}). "
        f"{len(rows)} runs, of code of {', '.join(commits)}."
    )
    header = ["row", "seed", "run", "ended, UTC", "commit"]
    table = Table(header, rows, texts=5, folded="The runs of this report")
    return [Heading("Provenance", 2), Text(text), table]


def verdict(section: Section) -> str:
    """The answer in a sentence or two: what is best, and whether that is more than chance."""
    label = section.best("auc")
    if not label:
        return "No mean AUC is defined."
    best, costs = section.systems[label], section.costs.set_index("system").to_dict("index")
    auc = percent(costs[label]["auc"])
    if len(section.systems) < 2:
        return f"Only {label} has runs: mean AUC {auc} %, nothing to compare with."
    seeds = seeds_of(best).removesuffix(f" of {label}")
    text = f"{label} has the highest mean AUC, {auc} % ({seeds})"
    found = {n: _against(section, "auc", n, label) for n in section.systems if n != label}
    same = [name for name in found if percent(costs[name]["auc"]) == auc]
    text += f", the same as {_listed(same)}" * bool(same)
    losses = section.costs.set_index("system")["validation_loss"]
    if share_a_loss(section.factors, section.seeds) and losses.notna().all():
        chosen = str(losses.idxmin())
        loss = f"{losses[chosen]:.4g}; its AUC is {percent(costs[chosen]['auc'])} %"
        text = f"{chosen} has the lowest validation loss, {loss}. {text}"
    worse = [name for name, row in found.items() if row and row["sign"] < 0]
    open_ = [name for name in found if name not in worse]
    few = [name for name in (label, *open_) if too_few(section.systems[name])]
    if not worse:
        text += ". That it is better than any other is not shown"
    elif not open_:
        text += f". It is better than each of the other {len(worse)} by more than chance"
    else:
        text += f". It is better than {_listed(worse)} by more than chance"
        text += f"; against {_listed(open_)} that is not decidable"
    if few:
        which = "all" if len(few) == len(section.systems) else _listed(few)
        text += f" ({TRAININGS_NEEDED} seeds of each are needed; fewer: {which})"
    if (other := section.best("pauc")) != label and other:
        text += f". By pAUC {other} is first"
    return text + "."


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join([*names[:_NAMED], *([f"{more} more"] if more > 0 else [])])


def grid(section: Section, metric: str) -> pd.DataFrame:
    """The results of a metric by machine type; ``best``: highest of the column."""
    frame = section.results.query("metric == @metric and id == ''")
    return frame.assign(best=frame["mean"] == frame.groupby("machine")["mean"].transform("max"))


def grid_table(section: Section, metric: str) -> Table:
    """A table of the paper."""
    frame = grid(section, metric)
    said: dict[str, list[str]] = {}
    table, about = [], [section.declared.about.get(row.label, {}) for row in section.rows]
    for row, of in zip(section.rows, about, strict=True):
        cells = frame[frame["system"] == row.label].to_dict("records")
        seeds = f"n={len(row.runs)}" if row.runs else "no run"
        small = [Line(text, "interval") for text in (of.get("family"), seeds) if text]
        head = [Line(row.marked), *small]
        table.append([head, *(figure_lines(cell, section.comparable) for cell in cells)])
        if row.notes:
            said.setdefault(f"{'. '.join(row.notes)}.", []).append(row.marked)
    notes = [
        f"Percent: mean ± standard deviation over n trainings (seeds); [{_interval(section)} "
        f"interval over test clips within machine ID, {section.resampling.resamples} resamples, "
        "and over trainings; with n=1 over clips alone: it says nothing of another training]. "
        "Highest of a column: bold."
    ]
    if section.comparable and frame["published"].notna().any():
        notes.append("paper: the published number; below it ours minus the paper's, in points.")
        notes.append("Published means are computed here, over the paper's machine types.")
    p = section.max_fpr
    if metric == "pauc":
        notes.append(f"False-positive rates [0, {p:g}], after McClish: chance is 50.")
        if other := section.other_max_fpr:
            notes.append(f"Runs differ in scoring.max_fpr: {p:g} counts for all, not {other}.")
    notes += [f"{', '.join(labels)}: {text}" for text, labels in said.items()]
    published = any(key[0] == metric for key in section.declared.published) and not any(about)
    name = NAMES[metric] + f" ({PAPER_TABLES.get(metric)} of the paper)" * published
    title = f"{name} in percent. {section.label}"
    machines = list(frame["machine"].unique())
    if section.declared.columns and set(machines[:-1]) != set(section.declared.columns):
        machines[-1:] = [f"mean of {len(machines) - 1}"]
    return Table(["system", *machines], table, title, notes=notes)


def id_table(section: Section, metric: str) -> Table:
    """A row a machine ID, a column a system."""
    frame = section.results.query("metric == @metric and id != ''")
    rows = []
    for (machine, machine_id), cells in frame.groupby(["machine", "id"], sort=False):
        cells = cells.assign(best=cells["mean"] == cells["mean"].max())
        lines = {cell["system"]: figure_lines(cell, False) for cell in cells.to_dict("records")}
        values = [lines.get(label, [_MISSING]) for label in section.systems]
        rows.append([[Line(f"{machine} {machine_id}")], *values])
    title = f"{NAMES[metric]} by machine ID in percent. {section.label}"
    header = ["machine ID", *section.systems]
    notes = [f"{row.marked}: {'. '.join(row.notes)}." for row in section.rows if row.notes]
    return Table(header, rows, title, notes=notes, folded="AUC and pAUC by machine ID")


def figure_lines(cell: dict[Any, Any], beside: bool) -> CellLines:
    """A row of the results as a cell: mean and spread, interval, and the paper's number ``beside``
    them, where it may stand there."""
    kind: Kind = "best" if cell.get("best") else "value"
    lines = [Line(_spread(cell["mean"], cell["std"]), kind) if cell["n"] else _MISSING]
    if not math.isnan(cell["low"]):
        lines.append(Line(f"[{100 * cell['low']:.1f}, {100 * cell['high']:.1f}]", "interval"))
    if beside and not math.isnan(cell["published"]):
        published = _spread(cell["published"], cell["published_std"])
        lines.append(Line(f"paper {published}", "published"))
        if cell["n"]:
            lines.append(Line(f"{100 * cell['difference']:+z.2f}", "difference"))
    return lines


def comparison_table(comparison: pd.DataFrame, section: Section) -> Table:
    """A against B."""
    rows = []
    for row in comparison[comparison["reason"] == ""].to_dict("records"):
        plain = plain_row(row["machine"], percent(row["mean_a"]), percent(row["mean_b"]))
        apart = [[line] for line in _difference(row)]
        above = Line(_share(row["resamples_a_above_b"], section.resampling.resamples))
        rows.append([*plain, *apart, [above], [Line(row["verdict"], _LOOKS[row["sign"]][0])]])
    metric, a, b, n_a, n_b = comparison.iloc[0][["metric", "a", "b", "trainings_a", "trainings_b"]]
    notes = [
        "Clips resampled jointly within machine ID and label. The interval covers other clips and, "
        "with several trainings of each, other trainings.",
        f"{a} above {b}: the share of these resamples, for these very trainings; not a probability "
        "that another training is better.",
        "Verdicts by machine type are after Holm's correction over the types.",
    ]
    if 1 in (n_a, n_b):
        notes.append("One training: the intervals cover clips alone, for these very trainings.")
    header = ["", a, b, f"{a} - {b}", f"{_interval(section)} interval", f"{a} above {b}", "verdict"]
    title = f"{a} against {b}: {NAMES[metric]} in percent. {section.label}"
    notes += [f"Left out: {reason}." for reason in comparison["reason"] if reason]
    return Table(header, rows, title, notes=notes)


def _difference(row: dict[Any, Any]) -> CellLines:
    points, low, high = (100 * row[f"difference{end}"] for end in ("", "_low", "_high"))
    interval = Line(f"[{low:+z.1f}, {high:+z.1f}]", "interval")
    return [Line(f"{points:+z.2f}", _LOOKS[row["sign"]][0]), interval]


def _against(section: Section, metric: str, a: str, b: str) -> dict[Any, Any]:
    """A minus B, of ``section.pairs``; empty where they cannot be compared."""
    for row in section.pairs.query("metric == @metric and reason == ''").to_dict("records"):
        if (row["a"], row["b"]) == (a, b):
            return row
        if (row["a"], row["b"]) == (b, a):
            low, high = -row["difference_high"], -row["difference_low"]
            turned = {"difference": -row["difference"], "sign": -row["sign"]}
            return {**row, **turned, "difference_low": low, "difference_high": high}
    return {}


def differences_table(section: Section, metric: str) -> Table:
    """Every system against the best, and those that learn nothing; against all of a few."""
    labels = list(section.systems)
    few = len(labels) <= _ALL_PAIRS
    columns = labels if few else [section.best(metric), *section.declared.baselines]
    columns = [name for name in dict.fromkeys(columns) if name in section.systems]
    rows = []
    for label in labels:
        row: list[CellLines] = [[Line(label)]]
        for other in columns:
            found = _against(section, metric, label, other)
            if not found:
                row.append([Line("" if label == other else "not comparable", "missing")])
                continue
            row.append([*_difference(found), Line(_LOOKS[found["sign"]][1], "interval")])
        rows.append(row)
    pairs = len(labels) * (len(labels) - 1) // 2
    notes = [
        f"Row minus column: paired differences of mean {NAMES[metric]}, in points, "
        f"[{_interval(section)} interval]. Verdicts are after Holm's correction over all {pairs} "
        f"pairs of rows, and need {TRAININGS_NEEDED} seeds of each."
    ]
    if not few:
        notes.append("Columns: the row with the highest mean, and those that learn nothing.")
    title = f"Differences of mean {NAMES[metric]} in points. {section.label}"
    return Table(["row minus column", *columns], rows, title, notes=notes)


def cost_table(section: Section) -> Table:
    """Quality beside cost: a row a system."""
    frame, judged = section.costs, share_a_loss(section.factors, section.seeds)
    best = {metric: frame[metric].max() for metric in COMPARED}
    best["validation_loss"] = frame["validation_loss"].min() if judged else math.nan
    tested = frame["proxy_auc"].notna().any()
    columns = {name: how for name, how in _COLUMNS.items() if tested or name != "proxy_auc"}
    rows = []
    for row in frame.to_dict("records"):
        cells = plain_row(row["system"], str(row["n"]))
        for name, (_, text) in columns.items():
            kind: Kind = "best" if row[name] == best.get(name) else "value"
            cells.append([Line("-") if math.isnan(row[name]) else Line(text(row[name]), kind)])
        rows.append([*cells, [Line("front" if row["front"] else "", "good")]])
    known = [name for name in COSTS if frame[name].notna().all()]
    costs = " and ".join(name.replace("_", " ") for name in known) or "cost, which is not known,"
    notes = [
        f"Means over seeds; AUC and pAUC in percent. front: no other row has an AUC as high and "
        f"{costs} as low (Pareto). -: nothing trains, or not recorded.",
        "Latency: a clip's file to its score, one at a time on one thread, on each run's machine, "
        "whatever else that did. Energy: of the GPU in training, where it tells.",
        "Validation loss chooses without test clips."
        if judged
        else "Validation loss: other losses, windows, front ends, clips or seeds do not compare.",
    ]
    if section.factors:
        notes.append("The best of many by AUC is chosen on test clips: its figure is too good.")
    if tested:
        notes.append(_proxy_note(section, judged))
    header = ["", "n", *(name for name, _ in columns.values()), "Pareto"]
    return Table(header, rows, f"Quality and cost. {section.label}", notes=notes)


def _proxy_note(section: Section, judged: bool) -> str:
    """What the test on simulated faults is worth here."""
    text = "Proxy AUC: simulated faults in validation clips (docs/search.md); it chooses without "
    text += "test clips and is no estimate of the AUC."
    models = [how for run in section.runs for how in run.record.get("convergence", {}).values()]
    if any(how.get("chosen_by") == "proxy AUC" for how in models):
        text += " In some rows it chose the epoch on the same clips, and is too good there."
    asked = [run.record.get("proxy", {}).get("options") for run in section.runs]
    if any(one != asked[0] for one in asked):
        return f"{text} Not all rows were tested, or not on the same faults."
    ranks = {"it": section.rank_correlation("proxy_auc")}
    if judged:
        ranks["a low validation loss"] = section.rank_correlation("validation_loss", -1)
    told = [f"{name} {rank:+.2f}" for name, (rank, _) in ranks.items() if not math.isnan(rank)]
    count = ranks["it"][1]
    if not told:
        return text
    return f"{text} Rank correlation with the mean AUC over {count} runs: {', '.join(told)}."


def shares_table(section: Section) -> Table | Text:
    """How much of the variance of AUC and pAUC each option makes."""
    systems = {levels(of.runs[0], section.factors): of for of in section.systems.values()}
    found = []
    for metric in COMPARED:
        values = {at: of.values(figure_name(metric, MEAN)) for at, of in systems.items()}
        found.append(shares(values, section.factors))
    if not all(found):
        return Text(
            "Not all combinations were run, or nothing varies: shares cannot be told apart."
        )
    rows = [plain_row(name, *(f"{100 * of[name]:.0f}" for of in found)) for name in found[0]]
    notes = [
        "Percent of the variance of the mean over all trainings: an analysis of variance; seeds: "
        "what the options do not explain. Few seeds give each option some of it by chance."
    ]
    title = f"Importance of options. {section.label}"
    return Table(["option", *(NAMES[metric] for metric in COMPARED)], rows, title, notes=notes)


def claims_table(section: Section) -> Table:
    """The paper's claims and what this data says of them."""
    rows = []
    for number, claim in enumerate(section.declared.claims, start=1):
        row = [[Line(f"{number}. {claim.text}"), Line(claim.source, "interval")]]
        for metric in COMPARED:
            verdict, reason = check_claim(claim, section.systems, metric)
            row.append([Line(verdict.upper(), _KINDS[verdict]), Line(reason, "interval")])
        rows.append(row)
    header = ["claim", *(f"by {NAMES[metric]}" for metric in COMPARED)]
    notes = ["Differences in points; see docs/report.md for the rule."]
    return Table(header, rows, f"The paper's claims, checked. {section.label}", 3, notes)


def _spread(mean: float, std: float) -> str:
    return percent(mean) + ("" if math.isnan(std) else f" ± {percent(std)}")


def _interval(section: Section) -> str:
    return f"{100 * section.resampling.confidence:g} %"


def _share(value: float, resamples: int) -> str:
    """A share of resamples; never 0 or 1, for which there are too few."""
    if value <= 0:
        return f"<{1 / resamples:g}"
    return f">{1 - 1 / resamples:g}" if value >= 1 else f"{value:.3f}"


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds))


def _short(commit: str) -> str:
    return commit[:8] + "+changes" * ("+" in commit)
