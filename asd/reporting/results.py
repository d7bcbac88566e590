"""The results of a table's systems as one tidy table, from which grids, CSV and pictures come."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from asd.documents.blocks import CellLines, Kind, Line, Table
from asd.documents.rendering import csv
from asd.reporting.bootstrap import COMPARED, MEAN, estimate
from asd.reporting.declaration import Declaration
from asd.reporting.systems import System
from asd.scoring.metrics import MACHINE_METRICS, figure_name, machine_order
from asd.scoring.tables import NAMES, percent

if TYPE_CHECKING:
    from asd.reporting.sections import Section

_COLUMNS = (
    "metric", "system", "machine", "id", "n", "seeds", "mean", "std", "low", "high", "values",
    "published", "published_std", "difference", "fill_command",
)  # fmt: skip
# Which of the paper's tables hold it.
_PAPER_TABLES = {"auc": " (Table 1 of the paper)", "pauc": " (Table 2 of the paper)"}
_MISSING = Line("missing", "missing")
# Fractions, and what they are called as percent.
_IN_PERCENT = {
    **{name: f"{name}_percent" for name in ("mean", "std", "low", "high", "values", *COMPARED)},
    "published": "published_real_data_percent", "published_std": "published_std_percent",
    "mean_a": "a_percent", "mean_b": "b_percent", "difference": "difference_points",
    "difference_low": "low_points", "difference_high": "high_points",
}  # fmt: skip


def results(
    declared: Declaration, rows: list[System], comparable: bool, usual_fpr: bool
) -> pd.DataFrame:
    """Every figure of every row, some of which may have no runs.

    Args:
        declared, rows: of the table.
        comparable: whether the published numbers may stand beside the figures.
        usual_fpr: whether the partial AUC has the p of the published numbers.

    Returns:
        A row a metric, system and machine type (those of the runs, then "mean"; ``id`` is empty),
        and a row a machine ID below: ``_COLUMNS``. n: trainings in which it is defined; mean and
        std (n - 1) over them; low and high of AUC and pAUC alone; values: each training's; a
        published mean only over the same types. Fractions; NaN is missing, undefined or unknown.
    """
    machines = {machine for row in rows for machine in row.machines}
    same_types = machines == set(declared.columns)
    columns = [machine for machine in declared.columns if machine in machines]
    columns += machine_order(machines - set(columns))
    figures = []
    for metric, row in itertools.product(MACHINE_METRICS, rows):
        known = usual_fpr or not metric.startswith("pauc")
        types = [(machine, "") for machine in (*columns, MEAN)]
        for machine, machine_id in types + row.ids * (metric in COMPARED):
            figure = _figures(row, metric, machine, machine_id)
            if known and not machine_id and (machine != MEAN or same_types):
                key = (metric, row.label, machine)
                figure["published"] = declared.published.get(key, np.nan)
                figure["published_std"] = declared.published_std.get(key, np.nan)
            figures.append({**figure, "system": row.label, "fill_command": row.command or None})
    frame = pd.DataFrame(figures, columns=list(_COLUMNS))
    frame["difference"] = frame["mean"] - frame["published"] if comparable else np.nan
    return frame


def spreadsheet(frame: pd.DataFrame) -> str:
    """Results or comparisons as CSV, fractions as percent.

    An empty cell is missing or undefined; a difference is there only where the published number is
    of the same clips.
    """
    figures = [name for name in frame if name in _IN_PERCENT]
    frame = frame.assign(**{str(name): 100 * frame[name] for name in figures})
    if "values" in frame:
        texts = [["" if np.isnan(x) else f"{x:.6f}" for x in v] for v in frame["values"]]
        frame["values"] = [" ".join(text) for text in texts]
    return csv(frame.rename(columns=_IN_PERCENT))


def _figures(system: System, metric: str, machine: str, machine_id: str = "") -> dict[str, Any]:
    where = {"metric": metric, "machine": machine, "id": machine_id and f"id_{machine_id}"}
    if not system.runs:
        return {**where, "n": 0, "seeds": "", "values": np.array([])}
    name = figure_name(metric, machine, machine_id)
    values = system.values(name)
    defined = values[~np.isnan(values)]
    found = estimate(system.resampling, system.sample(name))
    return {
        **where,
        "n": len(defined),
        "seeds": " ".join(map(str, system.seeds)),
        "mean": defined.mean() if len(defined) else np.nan,
        "std": defined.std(ddof=1) if len(defined) > 1 else np.nan,
        "low": found.low,
        "high": found.high,
        "values": values,
    }


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
        f"Percent: mean ± standard deviation over n trainings (seeds); "
        f"[{section.resampling.level} interval over test clips within machine ID, "
        f"{section.resampling.resamples} resamples, and over trainings; with n=1 over clips "
        "alone: it says nothing of another training]. Highest of a column: bold."
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
    name = NAMES[metric] + _PAPER_TABLES[metric] * published
    machines = list(frame["machine"].unique())
    if section.declared.columns and set(machines[:-1]) != set(section.declared.columns):
        machines[-1:] = [f"mean of {len(machines) - 1}"]
    title = f"{name} in percent. {section.label}"
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


def _spread(mean: float, std: float) -> str:
    return percent(mean) + ("" if math.isnan(std) else f" ± {percent(std)}")
