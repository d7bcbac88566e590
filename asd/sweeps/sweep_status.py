"""The cells of a sweep and what has become of each, read from the run folders."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from asd.sweeps.cells import (
    BROKEN,
    CUT,
    DONE,
    IN_PROGRESS,
    MISSING,
    REFUSED,
    Cell,
    Cells,
)
from asd.sweeps.display import Display
from asd.sweeps.grid_sweep import combinations
from asd.sweeps.observation import Observation
from asd.sweeps.outcomes import figure, short

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader

_ORDER = (DONE, IN_PROGRESS, CUT, BROKEN, REFUSED, MISSING)
_STYLES = {DONE: "green", IN_PROGRESS: "cyan", CUT: "yellow", BROKEN: "red", REFUSED: "red"}
# Lines of a failed run's log that are shown.
_LINES = 3


def show_status(loader: ConfigLoader, master: DictConfig, watch: bool) -> None:
    """Print a line a cell, then the log of each failure.

    Args:
        loader: Hydra's.
        master: the sweep's config.
        watch: first show live what runs, until all have ended or Ctrl-C.

    Raises:
        AsdError: the sweep's options cannot be combined.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    overrides = combinations(loader, [str(o) for o in master.hydra.overrides.task])
    cells = Cells(loader, master, make=False).of(overrides)
    if watch:
        while any(cell.folder is None and cell.error is None for cell in cells):
            time.sleep(1.0)  # until the sweep has made its corpus
            cells = Cells(loader, master, make=False).of(overrides)
        _watch(cells, str(master.sweep.name or "sweep"))
    states = {cell.number: cell.state() for cell in cells}
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 1000  # a file has no edge
    table = Table.grid(padding=(0, 2))
    for cell in cells:
        state = states[cell.number]
        folder = cell.folder
        where = str(short(folder.path)) if folder is not None and folder.path.is_dir() else ""
        table.add_row(
            Text(state, style=_STYLES.get(state, "")), cell.label, _more(cell, state), where
        )
    console.print(table)
    for cell in cells:
        if states[cell.number] in (BROKEN, REFUSED):
            _explain(cell, console)
    counts = Counter(states.values())
    told = ", ".join(f"{counts[state]} {state}" for state in _ORDER if counts[state])
    console.print(f"{master.sweep.name or 'sweep'}: {len(cells)} runs: {told}")


def _watch(cells: list[Cell], title: str) -> None:
    """Show what runs, until all have ended, or Ctrl-C."""
    counted = [cell for cell in cells if cell.error is None]
    done = sum(cell.state() == DONE for cell in counted)
    todo = [cell for cell in counted if cell.state() != DONE]
    with suppress(KeyboardInterrupt), Display(title, len(counted), done) as display:
        observed = Observation(todo, display, lambda _, state: state in (DONE, BROKEN))
        observed.look()
        while observed.open:
            time.sleep(1.0)
            observed.look()


def _more(cell: Cell, state: str) -> str:
    if state == DONE:
        return figure(cell)
    if state == IN_PROGRESS and cell.folder is not None:
        record = cell.folder.record()
        return f"{100 * cell.progress():.0f} %, pid {record.get('pid')} on {record.get('host')}"
    if state == CUT:
        return f"{100 * cell.trained():.0f} % trained"
    return ""


def _explain(cell: Cell, console: object) -> None:
    from rich.console import Console

    assert isinstance(console, Console)
    console.print(f"\n{cell.label}", style="bold")
    if cell.error is not None:
        console.print(f"  {cell.error}", markup=False)
    elif cell.folder is not None and cell.folder.log_file.exists():
        lines = cell.folder.log_file.read_text(errors="replace").rstrip().splitlines()
        for line in lines[-_LINES:]:
            console.print(f"  {line}", markup=False)
        console.print(f"  log:       {short(cell.folder.log_file)}", markup=False)
    console.print(f"  run again: {cell.command}", markup=False, soft_wrap=True)
