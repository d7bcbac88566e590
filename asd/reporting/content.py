"""What a report says of a section: its tables, comparisons and claims as blocks of a document."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from asd.documents.blocks import Block, CellLines, Commands, Heading, Kind, Line, Table, Text
from asd.reporting.claims import HELD, NOT_HELD
from asd.reporting.results import COMPARED, records
from asd.reporting.sections import Section
from asd.scoring.tables import NAMES

WIDTH = 136  # columns of a terminal that the tables need
# What the paper's two tables hold; the other metrics are views of the same scores.
PAPER_TABLES = {"auc": "Table 1", "pauc": "Table 2"}
# View -> its metrics, and what it is called where it is folded.
VIEWS = {
    "auc": (("auc",), "AUC"),
    "pauc": (("pauc",), "pAUC"),
    "per_id": (COMPARED, "AUC and pAUC by machine ID"),
    "harmonic": (("auc_harmonic", "pauc_harmonic"), "Harmonic mean over machine IDs"),
    "pooled": (("auc_pooled", "pauc_pooled"), "All clips of a machine type pooled"),
    "eq3": (("pauc_eq3",), "pAUC by eq. (3) as printed"),
}
_KINDS: dict[str, Kind] = {HELD: "good", NOT_HELD: "bad"}


def percent(value: float) -> str:
    """A fraction as percent with two digits."""
    return f"{100 * value:.2f}"


def signed(value: float) -> str:
    """A difference of fractions in points, with its sign."""
    return f"{100 * value:+.2f}"


def loud_title(section: Section) -> str:
    """What the data is, for every title."""
    if not section.simulated:
        return section.label
    return section.label.replace("SIMULATED", "SIMULATED DATA", 1)


def table_blocks(section: Section, views: list[str]) -> list[Block]:
    """A section's heading, what its data are, and the tables of these views."""
    blocks: list[Block] = [Heading(loud_title(section), 2)]
    if section.simulated:
        warning = (
            "SIMULATED DATA: the sounds were made by a program. These figures say nothing of "
            "real machines and must not be read against the published ones."
        )
        blocks.append(Text(warning, loud=True))
    elif not section.comparable:
        warning = "Not the paper's test clips or not its scale: published numbers stand apart."
        blocks.append(Text(warning, loud=True))
    return [*blocks, *(table for view in views for table in _view(section, view))]


def section_blocks(section: Section, views: list[str]) -> list[Block]:
    """A section's headings, texts and tables: these of ``VIEWS``, and last the others, folded."""
    blocks = table_blocks(section, views)
    commands = [command for _, _, command in section.rows if command]
    if commands:
        blocks += [Text("Missing runs; these commands fill them:"), Commands(commands)]
    if section.comparisons:
        blocks.append(Heading("Comparisons", 3))
        blocks += [comparison_table(comparison, section) for comparison in section.comparisons]
    if section.systems and section.verdicts:
        blocks += [Heading("Claims", 3), claims_table(section)]
    if section.notes:
        blocks.append(Text("Notes. " + " ".join(f"{n[:1].upper()}{n[1:]}." for n in section.notes)))
    further = [view for view in VIEWS if view not in views]
    if further and section.systems:
        blocks.append(Heading("Further views", 3))
        blocks += [table for view in further for table in _view(section, view, VIEWS[view][1])]
    return blocks


def _view(section: Section, view: str, folded: str = "") -> list[Table]:
    tables = []
    for metric in VIEWS[view][0]:
        if view == "per_id":
            tables.append(id_table(section, metric))
            continue
        tables.append(grid_table(section, metric))
        if not section.comparable and grid(section, metric)["published"].notna().any():
            tables.append(published_table(section, metric))
    for table in tables:
        table.folded = folded
    return tables


def grid(section: Section, metric: str) -> pd.DataFrame:
    """The results of a metric by machine type."""
    frame = section.results
    return frame[(frame["metric"] == metric) & (frame["id"] == "")]


def grid_table(section: Section, metric: str) -> Table:
    """A table of the paper."""
    frame = grid(section, metric)
    rows = []
    for label, cells in frame.groupby("system", sort=False):
        seeds = len(cells["seeds"].iloc[0].split())
        head = [Line(str(label), "value"), Line(f"n={seeds}" if seeds else "no run", "interval")]
        rows.append([head, *(figure_lines(c, section.comparable) for c in records(cells))])
    notes = [
        f"Percent: mean ± standard deviation over n trainings (seeds); [{_interval(section)} "
        f"bootstrap interval over test clips within machine ID, {section.resampling.resamples} "
        "resamples]."
    ]
    if section.comparable and frame["published"].notna().any():
        notes.append("paper: the published number; below it ours minus the paper's, in points.")
        notes.append("The paper's means are computed here, over the machine types that we have.")
    p = section.max_fpr
    if metric.startswith("pauc_eq3"):
        notes.append(f"Eq. (3) as printed, p = {p:g}: chance is about {50 * p:g}.")
    elif metric.startswith("pauc"):
        notes.append(f"False-positive rates [0, {p:g}], after McClish: chance is 50.")
    title = f"{_name(metric)} in percent. {loud_title(section)}"
    return Table(["system", *frame["machine"].unique()], rows, title, notes=notes)


def published_table(section: Section, metric: str) -> Table:
    """The published numbers alone, for data on which they are not comparable."""
    frame = grid(section, metric)
    rows = []
    for label, cells in frame.groupby("system", sort=False):
        if cells["published"].notna().any():
            rows.append([[Line(str(label), "value")], *([_published(c)] for c in records(cells))])
    where = "in percent: REAL recordings, DCASE 2020 task 2; not the data above"
    notes = ["The means are computed here; the paper prints none."]
    header = ["system", *frame["machine"].unique()]
    return Table(header, rows, f"Published {_name(metric)} {where}", notes=notes)


def id_table(section: Section, metric: str) -> Table:
    """A row a machine ID, a column a system."""
    frame = section.results[section.results["metric"] == metric]
    frame = frame[frame["id"] != ""]
    rows = []
    for (machine, machine_id), cells in frame.groupby(["machine", "id"], sort=False):
        lines = {cell.system: figure_lines(cell, False) for cell in records(cells)}
        missing = [Line("missing", "missing")]
        values = [lines.get(label, missing) for label in section.systems]
        rows.append([[Line(f"{machine} {machine_id}")], *values])
    title = f"{NAMES[metric]} by machine ID in percent. {loud_title(section)}"
    return Table(["machine ID", *section.systems], rows, title)


def figure_lines(cell: Any, beside: bool) -> CellLines:
    """A row of the results as a cell: mean and spread, interval, and the paper's number ``beside``
    them, where it may stand there."""
    lines = [Line("missing", "missing")]
    if cell.n:
        lines = [Line(_spread(cell.mean, cell.std), "value")]
        if not math.isnan(cell.low):
            lines.append(Line(f"[{100 * cell.low:.1f}, {100 * cell.high:.1f}]", "interval"))
    if beside and not math.isnan(cell.published):
        lines.append(Line(f"paper {_published(cell).text}", "published"))
        if cell.n:
            lines.append(Line(signed(cell.difference), "difference"))
    return lines


def comparison_table(comparison: pd.DataFrame, section: Section) -> Table:
    """A against B."""
    compared, left_out = (comparison[(comparison["reason"] == "") == ok] for ok in (True, False))
    rows = []
    for row in records(compared):
        low, high = row.difference_low, row.difference_high
        decided: Kind = "good" if low > 0 else "bad" if high < 0 else "text"
        cells = [
            Line(row.machine),
            Line(percent(row.mean_a)),
            Line(percent(row.mean_b)),
            Line(signed(row.difference), decided),
            Line(f"[{signed(low)}, {signed(high)}]", "interval"),
            Line(_probability(row.probability_a_better, section.resampling.resamples), decided),
        ]
        rows.append([[cell] for cell in cells])
    first = records(comparison)[0]
    a, b, n_a, n_b = first.a, first.b, first.trainings_a, first.trainings_b
    counts = [f"{n} training{'s' if n > 1 else ''} of {s}" for s, n in ((a, n_a), (b, n_b))]
    notes = [
        "Clips resampled jointly within machine ID and label; several trainings of a system are "
        f"resampled too. Here: {' and '.join(counts)}."
    ]
    if 1 in (n_a, n_b):
        notes.append("One training says nothing of how another seed would do.")
    notes += [f"Left out: {row.machine}: {row.reason}." for row in records(left_out)]
    title = f"{a} against {b}: {NAMES[first.metric]} in percent. {loud_title(section)}"
    return Table(
        ["", a, b, f"{a} - {b}", f"{_interval(section)} interval", f"P({a} better)"],
        rows,
        title,
        notes=notes,
    )


def claims_table(section: Section) -> Table:
    """The paper's claims and what this data says of them."""
    rows = []
    for number, (claim, verdicts) in enumerate(section.verdicts, start=1):
        row = [[Line(f"{number}. {claim.text}"), Line(claim.source, "interval")]]
        for verdict, reason in verdicts.values():
            kind: Kind = _KINDS.get(verdict, "missing")
            row.append([Line(verdict.upper(), kind), Line(reason, "interval")])
        rows.append(row)
    title = f"The paper's claims, checked. {loud_title(section)}"
    header = ["claim", *(f"by {NAMES[m]}" for m in COMPARED)]
    return Table(
        header, rows, title, 3, ["Differences in points; see docs/report.md for the rule."]
    )


def _published(cell: Any) -> Line:
    known = not math.isnan(cell.published)
    return Line(_spread(cell.published, cell.published_std) if known else "-", "published")


def _spread(mean: float, std: float) -> str:
    return percent(mean) + ("" if math.isnan(std) else f" ± {percent(std)}")


def _name(metric: str) -> str:
    """Such as "Table 1: AUC"."""
    table = f"{PAPER_TABLES[metric]}: " if metric in PAPER_TABLES else ""
    return table + NAMES[metric]


def _interval(section: Section) -> str:
    return f"{100 * section.resampling.confidence:g} %"


def _probability(value: float, resamples: int) -> str:
    """A share of resamples; never 0 or 1, for which there are too few."""
    if value <= 0:
        return f"<{1 / resamples:g}"
    return f">{1 - 1 / resamples:g}" if value >= 1 else f"{value:.3f}"
