"""Run one cell of a sweep, and what has become of cells: values, failures, exit status."""

from __future__ import annotations

import logging
import shlex
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from asd.composition import command_of
from asd.errors import AsdError, Pruned, RunIsBusyError, Terminated
from asd.experiment.run_folder import FAILED, FINISHED
from asd.secrets import redacted
from asd.signals import ENDINGS
from asd.sweeps.cells import Cell

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader
    from hydra.types import TaskFunction
    from omegaconf import DictConfig


class RunFailedError(Exception):
    """A run's failure in one line, where its exception is another process's."""


@dataclass(frozen=True)
class Outcome:
    """A cell's run, ended: its value (what ``asd.train.train`` returns), or why it failed."""

    cell: Cell
    value: object
    error: BaseException | None


def run_cell(cell: Cell, loader: ConfigLoader, master: DictConfig, task: TaskFunction) -> Outcome:
    """Compose and run one cell in this process, which says nothing to the terminal meanwhile.

    A failure ends the run's log and is noted in its ``run.json``, however early it came.

    Args:
        cell: what to run.
        loader: Hydra's.
        master: the sweep's own config.
        task: what Hydra calls for a run.

    Raises:
        KeyboardInterrupt: stopped (``Terminated``: by SIGTERM); the run is closed.
    """
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    composed = loader.load_sweep_config(master, list(cell.overrides))
    HydraConfig.instance().set_config(composed)
    try:
        with _quiet():
            config = OmegaConf.masked_copy(composed, [str(k) for k in composed if k != "hydra"])
            return Outcome(cell, task(config), None)
    except SystemExit as stopped:
        raise next(
            (Terminated(number) for number in ENDINGS if stopped.code == 128 + number),
            KeyboardInterrupt(),
        ) from None
    except Exception as error:  # whatever it is, it stops no other run
        if not isinstance(error, RunIsBusyError | Pruned):
            note_failure(cell, error)
        return Outcome(cell, None, error)


@contextmanager
def _quiet() -> Iterator[None]:
    """Say nothing to the terminal, which shows the sweep; the run folder's train.log has it all."""
    from asd import progress

    root = logging.getLogger()
    level, handlers, before = root.level, root.handlers, progress.quiet
    root.setLevel(logging.INFO)
    quiet = [h for h in handlers if type(h) is not logging.StreamHandler]
    root.handlers = [*quiet, logging.NullHandler()]
    progress.quiet = True
    try:
        yield
    finally:
        root.setLevel(level)
        root.handlers = handlers
        progress.quiet = before


def note_failure(cell: Cell, error: BaseException) -> None:
    """Let the run's log and record say why it failed, unless another process has the run by now."""
    if cell.folder is None:
        return
    with suppress(RunIsBusyError), cell.folder.lock():
        with cell.folder.log_file.open("a") as file:
            file.write("".join(traceback.format_exception(error)))
        record = cell.folder.record()
        noted = record.get("status") == FAILED and record.get("error")
        if record.get("status") != FINISHED and not noted:
            about = {"message": reason(error), "user": isinstance(error, AsdError)}
            ended = int(time.time() * 1000)
            cell.folder.update(status=FAILED, error=about, ended=ended)


def failure_of(cell: Cell) -> BaseException:
    """Why a cell is refused or failed, by its folder: an ``AsdError`` if the user is to mend it."""
    if cell.error is not None:
        return AsdError(cell.error)
    about = cell.record().get("error") or {}
    message = about.get("message", "its folder does not say why")
    return AsdError(message) if about.get("user") else RunFailedError(message)


def reason(error: BaseException) -> str:
    """Why, in few words; an exception that is not ours with its type."""
    if isinstance(error, AsdError | RunFailedError):
        return str(error)
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


def figure(cell: Cell) -> str:
    """The mean AUC of a finished run, from its scores."""
    if cell.folder is None or not cell.folder.scores.exists():
        return ""
    from asd.scoring.clip_scores import read_scores
    from asd.scoring.metrics import evaluate_scores

    max_fpr = float(cell.folder.record()["max_fpr"])
    auc = evaluate_scores(read_scores(cell.folder.scores), max_fpr).mean["auc"]
    return f"mean AUC {100 * auc:.2f}"


def summary(outcome: Outcome) -> str:
    """How a run ended, in few words."""
    if outcome.error is not None:
        return f"FAILED: {reason(outcome.error)}"
    return ", ".join(["finished", *filter(None, [figure(outcome.cell)])])


def failures(outcomes: list[Outcome]) -> list[str]:
    """Lines that say what failed, why, where its log is, and how to run it again."""
    lines = []
    for outcome in outcomes:
        if outcome.error is None:
            continue
        cell = outcome.cell
        lines.append(f"FAILED {cell.label}: {reason(outcome.error)}")
        if cell.folder is not None and cell.folder.log_file.exists():
            lines.append(f"  log:       {short(cell.folder.log_file)}")
        lines.append(f"  run again: {command_of(cell.overrides)}")
    return lines


def exit_code(outcomes: list[Outcome]) -> int:
    """0; 2 if all that failed is for the user to mend; else 1."""
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    if not errors:
        return 0
    return 2 if all(isinstance(error, AsdError) for error in errors) else 1


def sweep_command() -> str:
    """The command line of this program, which goes on with what is missing."""
    return redacted(shlex.join(["python", *sys.orig_argv[1:]]))


def short(path: Path) -> Path:
    """A path as seen from the working directory, if it lies in it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


@contextmanager
def without_traceback() -> Iterator[None]:
    """Let what is no fault of the program end it with a message and its exit status."""
    try:
        yield
    except AsdError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except Terminated as ended:
        sys.exit(128 + ended.args[0])
    except KeyboardInterrupt:
        sys.exit(130)
