"""What a report says of a section: its tables, comparisons and claims as blocks of a document."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from asd.documents.blocks import (
    BAD,
    DIFFERENCE,
    GOOD,
    INTERVAL,
    MISSING,
    PUBLISHED,
    TEXT,
    VALUE,
    Block,
    CellLines,
    Commands,
    Heading,
    Line,
    Table,
    Text,
)
from asd.reporting.claims import HELD, NOT_HELD, Verdict
from asd.reporting.results import COMPARED
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


def section_blocks(
    section: Section, views: list[str], further: list[str] | None = None
) -> list[Block]:
    """A section's headings, texts and tables.

    Args:
        section: what to say.
        views: of ``VIEWS``, in order.
        further: views that come last, folded.
    """
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
        head = [Line(str(label), VALUE), Line(f"n={seeds}" if seeds else "no run", INTERVAL)]
        rows.append([head, *(figure_lines(c, section.comparable) for c in cells.itertuples())])
    confidence = f"{100 * section.resampling.confidence:g} %"
    notes = [
        f"Percent: mean ± standard deviation over n trainings (seeds); [{confidence} bootstrap "
        f"interval over test clips within machine ID, {section.resampling.resamples} resamples]."
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
    return Table(_header(frame), rows, title, notes=notes)


def published_table(section: Section, metric: str) -> Table:
    """The published numbers alone, for data on which they are not comparable."""
    frame = grid(section, metric)
    rows = [
        [[Line(str(label), VALUE)], *([_published(c)] for c in cells.itertuples())]
        for label, cells in frame.groupby("system", sort=False)
        if cells["published"].notna().any()
    ]
    where = "in percent: REAL recordings, DCASE 2020 task 2; not the data above"
    notes = ["The means are computed here; the paper prints none."]
    return Table(_header(frame), rows, f"Published {_name(metric)} {where}", notes=notes)


def id_table(section: Section, metric: str) -> Table:
    """A row a machine ID, a column a system."""
    frame = section.results[section.results["metric"] == metric]
    frame = frame[frame["id"] != ""]
    rows = []
    for (machine, machine_id), cells in frame.groupby(["machine", "id"], sort=False):
        lines = {cell.system: figure_lines(cell, False) for cell in cells.itertuples()}
        missing = [Line("missing", MISSING)]
        values = [lines.get(label, missing) for label in section.systems]
        rows.append([[Line(f"{machine} {machine_id}")], *values])
    title = f"{NAMES[metric]} by machine ID in percent. {loud_title(section)}"
    return Table(["machine ID", *section.systems], rows, title)


def figure_lines(cell: Any, beside: bool) -> CellLines:
    """A row of the results as a cell: mean and spread, interval, and the paper's number ``beside``
    them, where it may stand there."""
    lines = [Line("missing", MISSING)]
    if cell.n:
        lines = [Line(_spread(cell.mean, cell.std), VALUE)]
        if not math.isnan(cell.low):
            lines.append(Line(f"[{100 * cell.low:.1f}, {100 * cell.high:.1f}]", INTERVAL))
    if beside and not math.isnan(cell.published):
        lines.append(Line(f"paper {_published(cell).text}", PUBLISHED))
        if cell.n:
            lines.append(Line(f"{100 * cell.difference:+.2f}", DIFFERENCE))
    return lines


def comparison_table(comparison: pd.DataFrame, section: Section) -> Table:
    """A against B."""
    rows, resamples = [], section.resampling.resamples
    for row in comparison[comparison["reason"] == ""].to_dict("records"):
        low, high = 100 * row["difference_low"], 100 * row["difference_high"]
        decided = GOOD if low > 0 else BAD if high < 0 else TEXT
        chance = probability(row["probability_a_better"], resamples)
        rows.append(
            [
                [Line(row["machine"])],
                [Line(f"{100 * row['mean_a']:.2f}")],
                [Line(f"{100 * row['mean_b']:.2f}")],
                [Line(f"{100 * row['difference']:+.2f}", decided)],
                [Line(f"[{low:+.2f}, {high:+.2f}]", INTERVAL)],
                [Line(chance, decided)],
            ]
        )
    first = comparison.iloc[0]
    a, b = first["a"], first["b"]
    trainings = {a: first["trainings_a"], b: first["trainings_b"]}
    counts = [f"{n} training{'s' if n > 1 else ''} of {label}" for label, n in trainings.items()]
    notes = [
        "Clips resampled jointly within machine ID and label; several trainings of a system are "
        f"resampled too. Here: {' and '.join(counts)}."
    ]
    if 1 in trainings.values():
        notes.append("One training says nothing of how another seed would do.")
    left_out = comparison[comparison["reason"] != ""]
    notes += [f"Left out: {row.machine}: {row.reason}." for row in left_out.itertuples()]
    interval = f"{100 * section.resampling.confidence:g} % interval"
    title = f"{a} against {b}: {NAMES[first['metric']]} in percent. {loud_title(section)}"
    return Table(["", a, b, f"{a} - {b}", interval, f"P({a} better)"], rows, title, notes=notes)


def probability(value: float, resamples: int) -> str:
    """A share of resamples; never 0 or 1, for which there are too few."""
    if value <= 0:
        return f"<{1 / resamples:g}"
    return f">{1 - 1 / resamples:g}" if value >= 1 else f"{value:.3f}"


def claims_table(section: Section) -> Table:
    """The paper's claims and what this data says of them."""
    rows = []
    for number, verdicts in enumerate(section.verdicts, start=1):
        claim = verdicts[COMPARED[0]].claim
        head = [Line(f"{number}. {claim.text}"), Line(claim.source, INTERVAL)]
        rows.append([head, *(_verdict(verdicts[metric]) for metric in COMPARED)])
    title = f"The paper's claims, checked. {loud_title(section)}"
    header = ["claim", *(f"by {NAMES[m]}" for m in COMPARED)]
    return Table(
        header, rows, title, 3, ["Differences in points; see docs/report.md for the rule."]
    )


def _verdict(verdict: Verdict) -> CellLines:
    kind = {HELD: GOOD, NOT_HELD: BAD}.get(verdict.verdict, MISSING)
    return [Line(verdict.verdict.upper(), kind), Line(verdict.reason, INTERVAL)]


def _published(cell: Any) -> Line:
    known = not math.isnan(cell.published)
    return Line(_spread(cell.published, cell.published_std) if known else "-", PUBLISHED)


def _spread(mean: float, std: float) -> str:
    return f"{100 * mean:.2f}" + ("" if math.isnan(std) else f" ± {100 * std:.2f}")


def _name(metric: str) -> str:
    """Such as "Table 1: AUC"."""
    table = f"{PAPER_TABLES[metric]}: " if metric in PAPER_TABLES else ""
    return table + NAMES[metric]


def _header(frame: pd.DataFrame) -> list[str]:
    return ["system", *frame["machine"].unique()]
