"""The figures as CSV: one row a system, machine type and metric."""

from __future__ import annotations

import csv
import io
import math

from asd.reporting.bootstrap import MEAN
from asd.reporting.grid import Grid
from asd.reporting.sections import Section

_GRID = (
    "data", "simulated", "metric", "system", "machine", "n", "seeds", "mean_percent",
    "std_percent", "low_percent", "high_percent", "values_percent", "published_real_data_percent",
    "published_std_percent", "difference_points", "fill_command",
)  # fmt: skip
_COMPARED = (
    "data", "simulated", "metric", "a", "b", "trainings_a", "trainings_b", "machine", "a_percent",
    "b_percent", "difference_points", "low_points", "high_points", "probability_a_better",
)  # fmt: skip


def grids_csv(sections: list[Section]) -> str:
    """All tables. An empty cell is missing or undefined; a difference is there only where the
    published number is of the same clips."""
    rows = []
    for section in sections:
        for grid in section.grids.values():
            rows += _grid(section, grid)
    return _csv(_GRID, rows)


def per_id_csv(sections: list[Section], metrics: tuple[str, ...]) -> str:
    """Figures by machine ID."""
    names = (
        "data", "simulated", "metric", "system", "machine", "id", "n", "mean_percent",
        "std_percent", "low_percent", "high_percent",
    )  # fmt: skip
    rows = []
    for section in sections:
        for metric in metrics:
            for system in section.systems.values():
                for machine, machine_id in system.ids:
                    values = system.id_values(metric, machine, machine_id)
                    moved = system.id_resampled(metric, machine, machine_id).mean(axis=0)
                    low, high = system.resampling.interval(moved)
                    std = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
                    rows.append(
                        [section.label, section.simulated, metric, system.label, machine,
                         f"id_{machine_id}", len(values), *map(_percent, (
                             float(values.mean()), std, low, high))]
                    )  # fmt: skip
    return _csv(names, rows)


def comparisons_csv(sections: list[Section]) -> str:
    """All comparisons."""
    rows = []
    for section in sections:
        for c in section.comparisons:
            for row in c.rows:
                rows.append(
                    [section.label, section.simulated, c.metric, c.a, c.b, *c.trainings, row.where,
                     *map(_percent, (row.a, row.b, row.value, row.low, row.high)), row.probability]
                )  # fmt: skip
    return _csv(_COMPARED, rows)


def _grid(section: Section, grid: Grid) -> list[list[object]]:
    rows: list[list[object]] = []
    for row in grid.rows:
        for machine in (*grid.columns, MEAN):
            cell = row.cells[machine]
            spread = cell.published_std
            rows.append(
                [section.label, section.simulated, grid.metric, row.label, machine, cell.n,
                 " ".join(map(str, row.seeds)), *map(_percent, (
                     cell.mean, cell.std, cell.low, cell.high)),
                 " ".join(_percent(float(v)) for v in cell.values),
                 "" if cell.published is None else _percent(cell.published),
                 "" if spread is None else _percent(spread),
                 _percent(cell.difference) if grid.comparable else "",
                 row.command or ""]
            )  # fmt: skip
    return rows


def _percent(value: float) -> str:
    return "" if math.isnan(value) else f"{100 * value:.6f}"


def _csv(header: tuple[str, ...], rows: list[list[object]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue()
