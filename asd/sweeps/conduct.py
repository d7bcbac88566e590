"""Run the cells of a sweep: start, show, collect, and say at the end what failed."""

from __future__ import annotations

import logging
import shlex
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher

from asd.errors import AsdError, Pruned, RunIsBusyError, Terminated
from asd.sweeps.cells import Cell
from asd.sweeps.display import Display
from asd.sweeps.launching import Job, JobFailedError, stream

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ended:
    """A cell's run, ended: its value (what ``asd.train.train`` returns), or why it failed."""

    cell: Cell
    value: object
    error: BaseException | None

    @property
    def busy(self) -> bool:
        """Whether another process trains this very run."""
        return isinstance(self.error, RunIsBusyError)

    @property
    def pruned(self) -> bool:
        """Whether a search gave the run up."""
        return isinstance(self.error, Pruned)


def conduct(
    launcher: Launcher,
    cells: Iterable[Cell],
    display: Display,
    found: Callable[[Ended], str] | None = None,
) -> Iterator[Ended]:
    """Run cells as places become free; ``cells`` is advanced only then.

    Args:
        launcher: starts the runs.
        cells: what to run.
        display: is told of each.
        found: what to say of a finished run; None: its mean AUC.

    Yields:
        what became of each, as they end.
    """
    known: dict[int, Cell] = {}

    def jobs() -> Iterator[Job]:
        for cell in cells:
            known[cell.number] = cell
            display.started(cell)
            yield Job(cell.number, cell.overrides)

    for number, result in stream(launcher, jobs()):
        ended = _ended(known[number], result)
        failed = None if ended.busy or ended.pruned else ended.error
        display.ended(ended.cell, failed, _said(ended, found))
        yield ended


def _ended(cell: Cell, result: JobReturn) -> Ended:
    value = result._return_value
    if result.status == JobStatus.COMPLETED:
        return Ended(cell, value, None)
    error = value if isinstance(value, BaseException) else JobFailedError(str(value))
    _keep_log(cell, error)
    return Ended(cell, None, error)


def _said(ended: Ended, found: Callable[[Ended], str] | None) -> str:
    if ended.busy:
        return "being trained by another process; looked at again at the end"
    if ended.pruned:
        return str(ended.error)
    if ended.error is not None:
        return f"FAILED: {ended.error}"
    said = figure(ended.cell) if found is None else found(ended)
    return ", ".join(["finished", *filter(None, [said])])


def figure(cell: Cell) -> str:
    """The mean AUC of a finished run, from its scores."""
    if cell.folder is None or not cell.folder.scores.exists():
        return ""
    from asd.scoring.clip_scores import read_scores
    from asd.scoring.metrics import evaluate_scores

    max_fpr = float(cell.folder.record()["max_fpr"])
    auc = evaluate_scores(read_scores(cell.folder.scores), max_fpr).mean["auc"]
    return f"mean AUC {100 * auc:.2f}"


def _keep_log(cell: Cell, error: BaseException) -> None:
    """Let the run's log end with why it failed, in whichever process that was."""
    if (
        cell.folder is None
        or not cell.folder.path.is_dir()
        or isinstance(error, RunIsBusyError | Pruned)
    ):
        return
    if isinstance(error, JobFailedError):
        text = error.details or error.message
    else:
        text = "".join(traceback.format_exception(error))
    with cell.folder.log_file.open("a") as file:
        file.write(f"{text.rstrip()}\n")


def failures(ended: list[Ended]) -> list[str]:
    """Lines that say what failed, why, where its log is, and how to run it again."""
    lines = []
    for one in ended:
        if one.error is None:
            continue
        lines.append(f"FAILED {one.cell.label}: {one.error}")
        if one.cell.folder is not None and one.cell.folder.log_file.exists():
            lines.append(f"  log:       {short(one.cell.folder.log_file)}")
        lines.append(f"  run again: {one.cell.command}")
    return lines


def sweep_command() -> str:
    """The command line of this program, which goes on with what is missing."""
    return shlex.join(["python", *sys.orig_argv[1:]])


def short(path: Path) -> Path:
    """A path as seen from the working directory, if it lies in it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


@contextmanager
def without_traceback() -> Iterator[None]:
    """Let what is no fault of the program end it with a message and its status: 2, 130 or 143."""
    try:
        yield
    except AsdError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except Terminated:
        sys.exit(143)
    except KeyboardInterrupt:
        sys.exit(130)


def exit_code(ended: list[Ended]) -> int:
    """0; 2 if all that failed is for the user to mend; else 1."""
    errors = [one.error for one in ended if one.error is not None]
    if not errors:
        return 0
    return 2 if all(isinstance(error, AsdError) for error in errors) else 1
