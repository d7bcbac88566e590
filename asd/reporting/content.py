"""What a report says of a section: its tables, comparisons and claims as blocks of a document."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from asd.documents.blocks import Block, CellLines, Heading, Kind, Line, Table, Text, plain_row
from asd.reporting.bootstrap import MEAN
from asd.reporting.claims import HELD, NOT_HELD, check_claim
from asd.reporting.compare import NOT_DECIDABLE
from asd.reporting.faults import fault_tables
from asd.reporting.intervals import TRAININGS_NEEDED
from asd.reporting.results import COMPARED
from asd.reporting.sections import Section
from asd.scoring.tables import NAMES, percent

WIDTH = 136  # columns of a terminal that the tables need
# Which of the paper's tables hold it; the other metrics are views of the same scores.
PAPER_TABLES = {"auc": "Table 1: ", "pauc": "Table 2: "}
# View -> its metrics, and what it is called where it is folded.
VIEWS = {
    "auc": (("auc",), "AUC"),
    "pauc": (("pauc",), "pAUC"),
    "per_id": (COMPARED, "AUC and pAUC by machine ID"),
    "harmonic": (("auc_harmonic", "pauc_harmonic"), "Harmonic mean over machine IDs"),
    "pooled": (("auc_pooled", "pauc_pooled"), "All clips of a machine type pooled"),
    "eq3": (("pauc_eq3",), "pAUC by eq. (3) as printed"),
    "faults": ((), "AUC by fault"),
}
_KINDS: dict[str, Kind] = {HELD: "good", NOT_HELD: "bad"}
_SIMULATED = (
    "SIMULATED DATA: the sounds were made by a program. These figures say nothing of real "
    "machines and must not be read against the published ones."
)
_APART = "Not the paper's clips or not its scale: published numbers stand apart."
_NO_CLAIMS = "The paper's claims are checked on the whole real corpus at scale=paper only."
_MISSING = Line("missing", "missing")


def table_blocks(section: Section, views: Sequence[str]) -> list[Block]:
    """A section's heading, what its data are, and the tables of these views."""
    blocks: list[Block] = [Heading(section.label, 2)]
    if section.simulated or not section.comparable:
        blocks.append(Text(_SIMULATED if section.simulated else _APART, "loud"))
    if section.data:
        blocks.append(Text(f"The corpus as in conf/data, but {' '.join(section.data)}."))
    return [*blocks, *(table for view in views for table in _view(section, view))]


def section_blocks(section: Section, views: Sequence[str]) -> list[Block]:
    """A section's headings, texts and tables: these of ``VIEWS``, and last the others, folded."""
    blocks = table_blocks(section, views)
    if commands := [row.command for row in section.rows if row.command]:
        blocks.append(Text("Missing runs; these commands fill them:"))
        blocks.append(Text("\n".join(commands), "commands"))
    if section.comparisons:
        blocks.append(Heading("Comparisons", 3))
        blocks += [comparison_table(comparison, section) for comparison in section.comparisons]
    if section.learning:
        blocks += [Heading("Does learning help?", 3), learning_table(section)]
    if section.declared.claims:
        checked = claims_table(section) if section.comparable else Text(_NO_CLAIMS)
        blocks += [Heading("Claims", 3), checked]
    if section.notes:
        blocks.append(Text("Notes. " + " ".join(f"{n[:1].upper()}{n[1:]}." for n in section.notes)))
    if further := [view for view in VIEWS if view not in views]:
        blocks.append(Heading("Further views", 3))
        blocks += [table for view in further for table in _view(section, view, VIEWS[view][1])]
    return blocks


def _view(section: Section, view: str, folded: str = "") -> list[Table]:
    tables = fault_tables(section) if view == "faults" else []
    for metric in VIEWS[view][0]:
        if view == "per_id":
            tables.append(id_table(section, metric))
            continue
        tables.append(grid_table(section, metric))
        if not section.comparable and any(key[0] == metric for key in section.declared.published):
            tables.append(published_table(section, metric))
    for table in tables:
        table.folded = folded
    return tables


def grid(section: Section, metric: str) -> pd.DataFrame:
    """The results of a metric by machine type."""
    return section.results.query("metric == @metric and id == ''")


def grid_table(section: Section, metric: str) -> Table:
    """A table of the paper."""
    frame = grid(section, metric)
    table = []
    for row in section.rows:
        cells = frame[frame["system"] == row.label].to_dict("records")
        seeds = f"n={len(row.runs)}" if row.runs else "no run"
        head = [Line(f"{row.label} {row.star}".strip(), "value"), Line(seeds, "interval")]
        table.append([head, *(figure_lines(cell, section.comparable) for cell in cells)])
    notes = [
        f"Percent: mean ± standard deviation over n trainings (seeds); [{_interval(section)} "
        f"interval over test clips within machine ID, {section.resampling.resamples} resamples, "
        "and over trainings; with n=1 over clips alone: it says nothing of another training]."
    ]
    if section.comparable and frame["published"].notna().any():
        notes.append("paper: the published number; below it ours minus the paper's, in points.")
        notes.append("The paper prints no means: they are computed here, over its machine types.")
    p = section.max_fpr
    if metric.startswith("pauc_eq3"):
        notes.append(f"Eq. (3) as printed, p = {p:g}: chance is about {50 * p:g}.")
    elif metric.startswith("pauc"):
        notes.append(f"False-positive rates [0, {p:g}], after McClish: chance is 50.")
    notes += _row_notes(section)
    title = f"{_table_name(section, metric)} in percent. {section.label}"
    machines = list(frame["machine"].unique())
    if section.declared.columns and set(machines[:-1]) != set(section.declared.columns):
        machines[-1:] = [f"mean of {len(machines) - 1}"]
    return Table(["system", *machines], table, title, notes=notes)


def published_table(section: Section, metric: str) -> Table:
    """The published numbers alone, for data on which they are not comparable."""
    declared, columns = section.declared, [*section.declared.columns, MEAN]
    rows = []
    for label in declared.rows:
        if (metric, label, MEAN) in declared.published:
            keys = [(metric, label, machine) for machine in columns]
            pairs = [(declared.published[k], declared.published_std.get(k, math.nan)) for k in keys]
            numbers = [[Line(_spread(*pair), "published")] for pair in pairs]
            rows.append([[Line(label, "value")], *numbers])
    title = f"Published {_table_name(section, metric)} in percent: REAL recordings, "
    title += "DCASE 2020 task 2; not the data above"
    notes = ["The means are computed here; the paper prints none."]
    return Table(["system", *columns], rows, title, notes=notes)


def id_table(section: Section, metric: str) -> Table:
    """A row a machine ID, a column a system."""
    frame = section.results.query("metric == @metric and id != ''")
    rows = []
    for (machine, machine_id), cells in frame.groupby(["machine", "id"], sort=False):
        lines = {cell["system"]: figure_lines(cell, False) for cell in cells.to_dict("records")}
        values = [lines.get(label, [_MISSING]) for label in section.systems]
        rows.append([[Line(f"{machine} {machine_id}")], *values])
    title = f"{NAMES[metric]} by machine ID in percent. {section.label}"
    return Table(["machine ID", *section.systems], rows, title, notes=_row_notes(section))


def figure_lines(cell: dict[Any, Any], beside: bool) -> CellLines:
    """A row of the results as a cell: mean and spread, interval, and the paper's number ``beside``
    them, where it may stand there."""
    lines = [Line(_spread(cell["mean"], cell["std"]), "value") if cell["n"] else _MISSING]
    if not math.isnan(cell["low"]):
        lines.append(Line(f"[{100 * cell['low']:.1f}, {100 * cell['high']:.1f}]", "interval"))
    if beside and not math.isnan(cell["published"]):
        published = _spread(cell["published"], cell["published_std"])
        lines.append(Line(f"paper {published}", "published"))
        if cell["n"]:
            lines.append(Line(f"{100 * cell['difference']:+.2f}", "difference"))
    return lines


def comparison_table(comparison: pd.DataFrame, section: Section) -> Table:
    """A against B."""
    resamples = section.resampling.resamples
    rows, left_out = [], []
    for row in comparison.to_dict("records"):
        if row["reason"]:
            left_out.append(f"Left out: {row['machine']}: {row['reason']}.")
            continue
        points, low, high = (100 * row[f"difference{end}"] for end in ("", "_low", "_high"))
        decided = _decided(row)
        plain = plain_row(row["machine"], percent(row["mean_a"]), percent(row["mean_b"]))
        interval = Line(f"[{low:+.2f}, {high:+.2f}]", "interval")
        above = [Line(_share(row["resamples_a_above_b"], resamples))]
        verdict = [Line(row["verdict"], decided)]
        rows.append([*plain, [Line(f"{points:+.2f}", decided)], [interval], above, verdict])
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
    return Table(header, rows, title, notes=[*notes, *left_out])


def _decided(row: dict[Any, Any]) -> Kind:
    """How a difference looks: only a verdict has a colour."""
    if row["verdict"].startswith(NOT_DECIDABLE):
        return "text"
    return "good" if row["difference"] > 0 else "bad"


def learning_table(section: Section) -> Table:
    """Every system against those that learn nothing."""
    rows: dict[str, list[CellLines]] = {}
    for comparison in section.learning:
        for row in comparison.to_dict("records"):
            lines = [Line(row["reason"], "missing")]
            if not row["reason"]:
                points, low, high = (100 * row[f"difference{end}"] for end in ("", "_low", "_high"))
                interval = Line(f"[{low:+.1f}, {high:+.1f}]", "interval")
                kind = _decided(row)
                word = {"good": "better", "bad": "worse"}.get(kind, NOT_DECIDABLE)
                seeds = f"(n={row['trainings_a']}, {row['trainings_b']})"
                verdict = Line(f"{word} {seeds}", "interval")
                lines = [Line(f"{points:+.2f}", kind), interval, verdict]
            rows.setdefault(row["a"], [[Line(row["a"], "value")]]).append(lines)
    heads = [(NAMES[c.iloc[0]["metric"]], c.iloc[0]["b"]) for c in section.learning]
    notes = [
        "Differences of means over machine types, in points, to systems that learn nothing: the "
        "level, and the nearest training clip in mean and deviation of each band.",
        f"[{_interval(section)} interval]; verdicts after Holm's correction over the systems; "
        f"n: the seeds of each, of which {TRAININGS_NEEDED} are needed.",
    ]
    header = ["system", *(f"{metric} - {baseline}'s" for metric, baseline in heads)]
    title = f"Does learning help? {section.label}"
    return Table(header, list(rows.values()), title, notes=notes)


def claims_table(section: Section) -> Table:
    """The paper's claims and what this data says of them."""
    rows = []
    for number, claim in enumerate(section.declared.claims, start=1):
        row = [[Line(f"{number}. {claim.text}"), Line(claim.source, "interval")]]
        for metric in COMPARED:
            verdict, reason = check_claim(claim, section.systems, metric)
            kind: Kind = _KINDS.get(verdict, "missing")
            row.append([Line(verdict.upper(), kind), Line(reason, "interval")])
        rows.append(row)
    header = ["claim", *(f"by {NAMES[metric]}" for metric in COMPARED)]
    notes = ["Differences in points; see docs/report.md for the rule."]
    return Table(header, rows, f"The paper's claims, checked. {section.label}", 3, notes)


def _row_notes(section: Section) -> list[str]:
    said = (f"{row.star} {row.label}: {'. '.join(row.notes)}." for row in section.rows if row.notes)
    return [text.strip() for text in said]


def _table_name(section: Section, metric: str) -> str:
    published = any(key[0] == metric for key in section.declared.published)
    return PAPER_TABLES.get(metric, "") * published + NAMES[metric]


def _spread(mean: float, std: float) -> str:
    return percent(mean) + ("" if math.isnan(std) else f" ± {percent(std)}")


def _interval(section: Section) -> str:
    return f"{100 * section.resampling.confidence:g} %"


def _share(value: float, resamples: int) -> str:
    """A share of resamples; never 0 or 1, for which there are too few."""
    if value <= 0:
        return f"<{1 / resamples:g}"
    return f">{1 - 1 / resamples:g}" if value >= 1 else f"{value:.3f}"
