"""The cells of a sweep and what has become of each, read from the run folders."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from asd.sweeps.cells import BROKEN, CUT, DONE, IN_PROGRESS, MISSING, REFUSED, Cell, Cells
from asd.sweeps.display import Display, Observation
from asd.sweeps.grid_sweep import combinations
from asd.sweeps.outcomes import figure, short

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader

_STYLES = {
    DONE: "green", IN_PROGRESS: "cyan", CUT: "yellow", BROKEN: "red", REFUSED: "red", MISSING: "",
}  # fmt: skip
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

    title = str(master.sweep.name or "sweep")
    overrides = combinations(loader, [str(o) for o in master.hydra.overrides.task])
    cells = list(Cells(loader, master, make=False).of(overrides))
    while watch and any(cell.folder is None and cell.error is None for cell in cells):
        time.sleep(1.0)  # until the sweep has made its corpus
        cells = list(Cells(loader, master, make=False).of(overrides))
    if watch:
        _watch([cell for cell in cells if cell.error is None], title)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 1000  # a file has no edge
    table, counts, explained = Table.grid(padding=(0, 2)), Counter[str](), list[str]()
    for cell in cells:
        state = cell.state()
        counts[state] += 1
        where = short(cell.folder.path) if cell.folder and cell.folder.path.is_dir() else ""
        table.add_row(Text(state, _STYLES[state]), cell.label, _detail(cell, state), str(where))
        if state in (BROKEN, REFUSED):
            explained += ["", *_explanation(cell)]
    console.print(table)
    for line in explained:
        console.print(line, markup=False, soft_wrap=True)
    summary = ", ".join(f"{counts[state]} {state}" for state in _STYLES if counts[state])
    console.print(f"{title}: {len(cells)} runs: {summary}")


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


def _explanation(cell: Cell) -> list[str]:
    """Why a cell failed or is refused, and the command that runs it again."""
    lines = [cell.label]
    if cell.error is not None:
        lines.append(f"  {cell.error}")
    elif cell.folder is not None and cell.folder.log_file.exists():
        text = cell.folder.log_file.read_text(errors="replace").rstrip()
        lines += [f"  {line}" for line in text.splitlines()[-_LINES:]]
        lines.append(f"  log:       {short(cell.folder.log_file)}")
    return [*lines, f"  run again: {cell.command}"]
