"""What a report says of a section: its tables, comparisons and claims as blocks of a document."""

from __future__ import annotations

import math

from asd.reporting.bootstrap import MEAN
from asd.reporting.claims import Verdict
from asd.reporting.compare import Comparison
from asd.reporting.document import (
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
from asd.reporting.grid import VIEWS, Cell, Grid
from asd.reporting.sections import COMPARED, Section
from asd.scoring.tables import NAMES

_FOLDED = {
    "auc": "AUC",
    "pauc": "pAUC",
    "per_id": "AUC and pAUC by machine ID",
    "harmonic": "Harmonic mean over machine IDs",
    "pooled": "All clips of a machine type pooled",
    "eq3": "pAUC by eq. (3) as printed",
}


def percent(value: float) -> str:
    """A fraction as percent with two digits; a dash when it is not defined."""
    return "-" if math.isnan(value) else f"{100 * value:.2f}"


def signed(value: float) -> str:
    """A difference of fractions in points, with its sign."""
    return "-" if math.isnan(value) else f"{100 * value:+.2f}"


def probability(value: float, resamples: int) -> str:
    """A share of resamples; never 0 or 1, for which there are too few."""
    if value <= 0:
        return f"<{1 / resamples:g}"
    return f">{1 - 1 / resamples:g}" if value >= 1 else f"{value:.3f}"


def loud_title(section: Section) -> str:
    """What the data is, for every title."""
    if not section.simulated:
        return section.label
    return section.label.replace("SIMULATED", "SIMULATED DATA", 1)


def table_blocks(section: Section, views: list[str]) -> list[Block]:
    """A section's heading, what its data are, and the tables of these views."""
    blocks: list[Block] = [Heading(loud_title(section), 2)]
    if section.simulated:
        blocks.append(
            Text(
                "SIMULATED DATA: the sounds were made by a program. These figures say nothing of "
                "real machines and must not be read against the published ones.",
                loud=True,
            )
        )
    elif not section.comparable:
        blocks.append(
            Text(
                "Not the paper's test clips or not its scale: published numbers stand apart.",
                loud=True,
            )
        )
    return [*blocks, *_views(section, views)]


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
        blocks.append(Text("Missing runs; these commands fill them:"))
        blocks.append(Commands(commands))
    if section.comparisons:
        blocks.append(Heading("Comparisons", 3))
        blocks += [comparison_table(comparison, section) for comparison in section.comparisons]
    if section.systems:
        blocks += [Heading("Claims", 3), claims_table(section)]
    if section.notes:
        blocks.append(Text("Notes. " + " ".join(f"{n[:1].upper()}{n[1:]}." for n in section.notes)))
    if further and section.systems:
        blocks.append(Heading("Further views", 3))
        for view in further:
            tables = _views(section, [view])
            for table in tables:
                table.folded = _FOLDED[view]
            blocks += tables
    return blocks


def _views(section: Section, views: list[str]) -> list[Table]:
    tables = []
    for view in views:
        if view == "per_id":
            tables += [per_id_table(section, metric) for metric in COMPARED]
        for metric in VIEWS[view]:
            tables.append(grid_table(section.grids[metric], section))
            if section.grids[metric].published and not section.comparable:
                tables.append(published_table(section.grids[metric]))
    return tables


def grid_table(grid: Grid, section: Section) -> Table:
    """A table of the paper."""
    rows = []
    for row in grid.rows:
        seeds = f"n={len(row.seeds)}" if row.seeds else "no run"
        head = [Line(row.label, VALUE), Line(seeds, INTERVAL)]
        names = [*grid.columns, MEAN]
        rows.append([head, *(cell_lines(row.cells[m], grid.comparable) for m in names)])
    confidence = f"{100 * section.resampling.confidence:g} %"
    notes = [
        f"Percent: mean ± standard deviation over n trainings (seeds); [{confidence} bootstrap "
        f"interval over test clips within machine ID, {section.resampling.resamples} resamples]."
    ]
    if grid.comparable and grid.published:
        notes.append("paper: the published number; below it ours minus the paper's, in points.")
        notes.append("The paper's means are computed here, over the machine types that we have.")
    if grid.metric.startswith("pauc_eq3"):
        chance = f"{50 * section.max_fpr:g}"
        notes.append(f"Eq. (3) as printed, p = {section.max_fpr:g}: chance is about {chance}.")
    elif grid.metric.startswith("pauc"):
        notes.append(f"False-positive rates [0, {section.max_fpr:g}], after McClish: chance is 50.")
    header = ["system", *grid.columns, "mean"]
    return Table(f"{grid.name} in percent. {loud_title(section)}", header, rows, 1, notes)


def published_table(grid: Grid) -> Table:
    """The published numbers alone, for data on which they are not comparable."""
    rows = []
    for row in grid.rows:
        cells = [row.cells[m] for m in (*grid.columns, MEAN)]
        if any(c.published is not None for c in cells):
            rows.append([[Line(row.label, VALUE)], *([_published(c)] for c in cells)])
    return Table(
        f"Published {grid.name} in percent: REAL recordings, DCASE 2020 task 2; not the data above",
        ["system", *grid.columns, "mean"],
        rows,
        1,
        ["The means are computed here; the paper prints none."],
    )


def cell_lines(cell: Cell, beside: bool) -> CellLines:
    """A cell: mean and spread, interval, and where it may stand beside ours, the paper's number."""
    lines = [Line("missing", MISSING)]
    if not cell.missing:
        spread = "" if math.isnan(cell.std) else f" ± {100 * cell.std:.2f}"
        lines = [Line(percent(cell.mean) + spread, VALUE)]
        if not math.isnan(cell.low):
            lines.append(Line(f"[{100 * cell.low:.1f}, {100 * cell.high:.1f}]", INTERVAL))
    if beside and cell.published is not None:
        told = _published(cell)
        lines.append(Line(f"paper {told.text}", PUBLISHED))
        if not cell.missing:
            lines.append(Line(signed(cell.difference), DIFFERENCE))
    return lines


def per_id_table(section: Section, metric: str) -> Table:
    """A row a machine ID, a column a system."""
    systems = section.systems
    ids = list(dict.fromkeys(pair for system in systems.values() for pair in system.ids))
    rows = []
    for machine, machine_id in ids:
        cells: list[CellLines] = [[Line(f"{machine} id_{machine_id}")]]
        for system in systems.values():
            values = system.id_values(metric, machine, machine_id)
            moved = system.id_resampled(metric, machine, machine_id).mean(axis=0)
            cells.append(cell_lines(Cell(values, *system.resampling.interval(moved)), False))
        rows.append(cells)
    title = f"{NAMES[metric]} by machine ID in percent. {loud_title(section)}"
    return Table(title, ["machine ID", *systems], rows)


def comparison_table(comparison: Comparison, section: Section) -> Table:
    """A against B."""
    a, b = comparison.a, comparison.b
    rows = []
    for row in comparison.rows:
        decided = GOOD if row.low > 0 else BAD if row.high < 0 else TEXT
        chance = probability(row.probability, comparison.resamples)
        rows.append(
            [
                [Line(row.where)],
                [Line(percent(row.a))],
                [Line(percent(row.b))],
                [Line(signed(row.value), decided)],
                [Line(f"[{signed(row.low)}, {signed(row.high)}]", INTERVAL)],
                [Line(chance, decided)],
            ]
        )
    covers = []
    for label, n in zip((a, b), comparison.trainings, strict=True):
        covers.append(f"{n} training{'s' if n > 1 else ''} of {label}")
    notes = [
        "Clips resampled jointly within machine ID and label; several trainings of a system are "
        f"resampled too. Here: {' and '.join(covers)}."
    ]
    if 1 in comparison.trainings:
        notes.append("One training says nothing of how another seed would do.")
    notes += [f"Left out: {reason}." for reason in comparison.left_out]
    interval = f"{100 * comparison.confidence:g} % interval"
    title = f"{a} against {b}: {NAMES[comparison.metric]} in percent. {loud_title(section)}"
    header = ["", a, b, f"{a} - {b}", interval, f"P({a} better)"]
    return Table(title, header, rows, 1, notes)


def claims_table(section: Section) -> Table:
    """The paper's claims and what this data says of them."""
    rows = []
    count = len(section.verdicts[COMPARED[0]])
    for i in range(count):
        first = section.verdicts[COMPARED[0]][i].claim
        cells: list[CellLines] = [[Line(f"{i + 1}. {first.text}"), Line(first.source, INTERVAL)]]
        cells += [_verdict(section.verdicts[metric][i]) for metric in COMPARED]
        rows.append(cells)
    title = f"The paper's claims, checked. {loud_title(section)}"
    header = ["claim", *(f"by {NAMES[m]}" for m in COMPARED)]
    return Table(
        title, header, rows, 3, ["Differences in points; see docs/report.md for the rule."]
    )


def _verdict(verdict: Verdict) -> CellLines:
    kind = {"held": GOOD, "not held": BAD}.get(verdict.verdict, MISSING)
    return [Line(verdict.verdict.upper(), kind), Line(verdict.reason, INTERVAL)]


def _published(cell: Cell) -> Line:
    if cell.published is None:
        return Line("-", PUBLISHED)
    spread = "" if cell.published_std is None else f" ± {100 * cell.published_std:.2f}"
    return Line(percent(cell.published) + spread, PUBLISHED)
