"""The cells of a sweep and what has become of each, read from the run folders."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from asd.sweeps.cells import BROKEN, CUT, DONE, IN_PROGRESS, MISSING, REFUSED, Cell, Cells
from asd.sweeps.display import Display, Observation
from asd.sweeps.grid_sweep import combinations
from asd.sweeps.outcomes import Outcome, failure_of, failures, figure, short

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader


_ORDER = (DONE, IN_PROGRESS, CUT, BROKEN, REFUSED, MISSING)


def show_status(loader: ConfigLoader, master: DictConfig, watch: bool) -> None:
    """Print a line a cell, then why each failed.

    Args:
        loader: Hydra's.
        master: the sweep's config.
        watch: first show live what runs, until all have ended or Ctrl-C.

    Raises:
        AsdError: the sweep's options cannot be combined.
    """
    title = str(master.sweep.name or "sweep")
    overrides = combinations(loader, [str(o) for o in master.hydra.overrides.task])
    cells = list(Cells(loader, master, make=False).of(overrides))
    while watch and any(cell.folder is None and cell.error is None for cell in cells):
        time.sleep(1.0)  # until the sweep has made its corpus
        cells = list(Cells(loader, master, make=False).of(overrides))
    if watch:
        _watch([cell for cell in cells if cell.error is None], title)
    states = [cell.state() for cell in cells]
    width = max(len(cell.label) for cell in cells)
    for cell, state in zip(cells, states, strict=True):
        where = short(cell.folder.path) if cell.folder and cell.folder.path.is_dir() else ""
        print(f"{state:8} {cell.label:{width}}  {_detail(cell, state)}  {where}".rstrip())
    broken = [c for c, state in zip(cells, states, strict=True) if state in (BROKEN, REFUSED)]
    for line in failures([Outcome(cell, None, failure_of(cell)) for cell in broken]):
        print(line)
    counts = ", ".join(f"{states.count(state)} {state}" for state in _ORDER if state in states)
    print(f"{title}: {len(cells)} runs: {counts}")


def _watch(cells: list[Cell], title: str) -> None:
    """Show what runs, until all have ended, or Ctrl-C."""
    todo = [cell for cell in cells if cell.state() != DONE]
    done = len(cells) - len(todo)
    with suppress(KeyboardInterrupt), Display(title, len(cells), done) as display:
        observed = Observation(todo, display)
        observed.look()
        while observed.open:
            time.sleep(1.0)
            observed.look()


def _detail(cell: Cell, state: str) -> str:
    if state == DONE:
        return figure(cell)
    if state == IN_PROGRESS:
        record = cell.record()
        return f"{100 * cell.progress():.0f} %, pid {record.get('pid')} on {record.get('host')}"
    return f"{100 * cell.progress():.0f} % trained" if state == CUT else ""
