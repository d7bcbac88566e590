"""What a sweep's workers have tried of a cell: notes in its ``run.json``, which all of them see."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass

from asd.errors import RunIsBusyError
from asd.experiment.run_folder import KILLED, RUNNING
from asd.sweeps.cells import BROKEN, DONE, Cell


@dataclass(frozen=True)
class WorkerRole:
    """What a worker knows of the sweep that it works on.

    Args:
        sweep: names the start of the sweep.
        attempts: how often a cell may take its worker down before it is a failed one.
        first: cell that it begins with: another for each worker.
    """

    sweep: str
    attempts: int
    first: int

    @classmethod
    def of_this_process(cls) -> WorkerRole:
        """As its launcher has said (``WorkerLauncher.environment``)."""
        sweep, attempts, number = os.environ["ASD_WORKER"].split()
        return cls(sweep, int(attempts), int(number))


def sweep_start() -> str:
    """A name for a sweep that starts now, here."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{socket.gethostname()}-{os.getpid()}"


def is_through(cell: Cell, state: str, sweep: str) -> bool:
    """Whether a sweep needs not come back to a cell: it is finished, or has failed in this sweep.

    Args:
        cell: the cell.
        state: its state.
        sweep: names the start of the sweep.
    """
    if state == DONE and not has_more_to_do(cell):
        return True
    return state in (DONE, BROKEN) and cell.record().get("sweep") == sweep


def has_more_to_do(cell: Cell) -> bool:
    """Whether a finished run has: it is to begin anew (``force``), or its tracker lacks a copy."""
    record = cell.record()
    forced = any(o.lstrip("+") == "force=true" for o in cell.overrides)
    return forced or ("mlflow" in record and not record.get("published", True))


def sign(cell: Cell, sweep: str) -> None:
    """Note that this sweep had the cell: it fails for all of it, and begins anew only once."""
    if cell.folder is not None and cell.record():
        with suppress(RunIsBusyError), cell.folder.lock():
            cell.folder.update(sweep=sweep)


def count_deaths(cell: Cell, sweep: str | None) -> int:
    """How many workers of this sweep died with a cell that nobody has at the moment.

    Args:
        cell: the cell.
        sweep: None before it begins: what died then does not count.
    """
    if cell.folder is None or not cell.record():
        return 0
    with suppress(RunIsBusyError), cell.folder.lock():
        record = cell.folder.record()
        deaths: dict[str, int] = record.get("deaths", {})
        if record.get("status") == RUNNING:  # and yet the lock is free
            if sweep is not None:
                deaths = {**deaths, sweep: deaths.get(sweep, 0) + 1}
            cell.folder.update(status=KILLED, deaths=deaths, sweep=sweep)
        return deaths.get(str(sweep), 0)
    return 0
