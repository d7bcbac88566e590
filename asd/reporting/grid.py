"""The paper's tables: systems by machine types, ours beside the published numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from asd.reporting.bootstrap import MEAN, Floats
from asd.reporting.declaration import Declaration, TableRow
from asd.reporting.systems import System
from asd.scoring.metrics import machine_order
from asd.scoring.tables import NAMES

# What the paper's two tables hold; the other metrics are views of the same scores.
PAPER_TABLES = {"auc": "Table 1", "pauc": "Table 2"}
VIEWS = {
    "auc": ("auc",),
    "pauc": ("pauc",),
    "harmonic": ("auc_harmonic", "pauc_harmonic"),
    "pooled": ("auc_pooled", "pauc_pooled"),
    "eq3": ("pauc_eq3",),
    "per_id": (),
}


@dataclass(frozen=True)
class Cell:
    """One figure of a system.

    Args:
        values: [seeds].
        low, high: interval over clips of the mean over the seeds.
        published: in the paper, or None; ``published_std`` likewise.
    """

    values: Floats
    low: float
    high: float
    published: float | None = None
    published_std: float | None = None

    @property
    def n(self) -> int:
        """Trainings in which it is defined."""
        return int((~np.isnan(self.values)).sum())

    @property
    def mean(self) -> float:
        """Over the seeds; NaN when it is missing."""
        return float(np.nanmean(self.values)) if self.n else float("nan")

    @property
    def std(self) -> float:
        """Over the seeds (n - 1); NaN with fewer than two."""
        return float(np.nanstd(self.values, ddof=1)) if self.n > 1 else float("nan")

    @property
    def missing(self) -> bool:
        """Whether there is no figure."""
        return math.isnan(self.mean)

    @property
    def difference(self) -> float:
        """Ours minus the published."""
        return float("nan") if self.published is None else self.mean - self.published


@dataclass(frozen=True)
class GridRow:
    """A row: its cells by machine type, ``mean`` among them, and what would fill it."""

    label: str
    seeds: tuple[int, ...]
    cells: dict[str, Cell]
    command: str | None


@dataclass(frozen=True)
class Grid:
    """A table in one metric.

    ``comparable``: the published numbers are of the same clips and may stand in the same table.
    """

    metric: str
    columns: tuple[str, ...]
    rows: tuple[GridRow, ...]
    comparable: bool

    @property
    def name(self) -> str:
        """Such as "Table 1: AUC"."""
        table = PAPER_TABLES.get(self.metric)
        return f"{table}: {NAMES[self.metric]}" if table else NAMES[self.metric]

    @property
    def published(self) -> bool:
        """Whether any published number is known."""
        return any(c.published is not None for row in self.rows for c in row.cells.values())


def grid(
    declared: Declaration,
    rows: list[tuple[TableRow, System | None, str | None]],
    metric: str,
    comparable: bool,
) -> Grid:
    """The table of a sweep in one metric.

    Args:
        declared: rows, columns and published numbers.
        rows: each row with its system, if there is one, and the command for what is missing.
        metric: of ``MACHINE_METRICS``.
        comparable: whether the runs were scored on the published numbers' clips.
    """
    found = {m for _, system, _ in rows if system for m in system.machines}
    columns = (*declared.columns, *machine_order(found - set(declared.columns)))
    made = [
        GridRow(
            row.label,
            tuple(system.seeds) if system else (),
            _cells(declared, row.label, system, metric, columns),
            command,
        )
        for row, system, command in rows
    ]
    return Grid(metric, columns, tuple(made), comparable)


def _cells(
    declared: Declaration, label: str, system: System | None, metric: str, columns: tuple[str, ...]
) -> dict[str, Cell]:
    published = declared.published.get(metric, {}).get(label, {})
    spread = declared.published_std.get(metric, {}).get(label, {})
    cells = {}
    for machine in columns:
        cells[machine] = _cell(system, metric, machine, published.get(machine), spread.get(machine))
    # The mean beside ours is over the same machine types; all of them while we have none.
    same = [m for m in columns if not cells[m].missing] or [m for m in columns if m in published]
    known = all(m in published for m in same) and bool(same)
    mean = sum(published[m] for m in same) / len(same) if known else None
    cells[MEAN] = _cell(system, metric, MEAN, mean, None)
    return cells


def _cell(
    system: System | None,
    metric: str,
    machine: str,
    published: float | None,
    published_std: float | None,
) -> Cell:
    nothing = float("nan")
    if system is None:
        return Cell(np.array([]), nothing, nothing, published, published_std)
    values = system.values(metric, machine)
    low, high = system.resampling.interval(system.resampled(metric, machine).mean(axis=0))
    return Cell(values, low, high, published, published_std)
