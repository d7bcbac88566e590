"""What has become of the cells of a sweep, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from asd import errors
from asd.composition import command_of
from asd.sweeps.cells import CUT, DONE, IN_PROGRESS, MISSING, STATES, Cell


def show_cells(title: str, cells: Sequence[Cell]) -> bool:
    """Print a line a cell, then why each failed; gives whether any has not ended."""
    width = max(len(cell.label) for cell in cells)
    for cell in cells:
        where = short(cell.folder.path) if cell.folder and cell.folder.path.is_dir() else ""
        state, record, detail = cell.state(), cell.record(), ""
        if state == DONE:
            detail = cell.summary()
        elif state in (IN_PROGRESS, CUT):
            by = f", pid {record.get('pid')} on {record.get('host')}" * (state == IN_PROGRESS)
            detail = f"{100 * cell.progress():.0f} % trained{by}"
        print(errors.shown(f"{state:8} {cell.label:{width}}  {detail}  {where}".rstrip()))
    print(errors.shown("\n".join([*failure_lines(cells), state_line(title, cells)])), flush=True)
    return any(cell.state() in (IN_PROGRESS, CUT, MISSING) for cell in cells)


def state_line(title: str, cells: Sequence[Cell]) -> str:
    """How many are in which state: ``paper: 5 runs: 3 done, 1 running, 1 missing``."""
    states = [cell.state() for cell in cells]
    counts = ", ".join(f"{states.count(state)} {state}" for state in STATES if state in states)
    return f"{title}: {len(cells)} runs: {counts}"


def failure_lines(cells: Sequence[Cell]) -> Iterator[str]:
    """What failed, why, where its log is, and how to run it again."""
    for cell in cells:
        if (failure := cell.failure()) is None:
            continue
        yield f"FAILED {cell.label}: {failure}"
        if cell.folder is not None and cell.folder.log_file.exists():
            yield f"  log:       {short(cell.folder.log_file)}"
        yield f"  run again: {command_of(cell.overrides)}"


def short(path: Path) -> Path:
    """A path as seen from the working directory, if it lies in it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
