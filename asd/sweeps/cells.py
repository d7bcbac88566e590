"""The cells of a sweep: for each combination of options the run that it stands for."""

from __future__ import annotations

import json
import logging
import os
import socket
import time
import traceback
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from asd import progress
from asd.composition import command_of, plain, search_path
from asd.errors import AsdError, Pruned, RunIsBusyError
from asd.experiment.history import read_history
from asd.experiment.run_folder import FAILED, FINISHED, KILLED, RUNNING, RunFolder, find_run
from asd.experiment.run_labels import run_name
from asd.experiment.schema import refusal

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader
    from hydra.types import TaskFunction

    from asd.experiment.clips import Clips
    from asd.experiment.experiment import Experiment

#: What a cell may be.
STATES = ("done", "running", "cut", "failed", "refused", "missing")
DONE, IN_PROGRESS, CUT, BROKEN, REFUSED, MISSING = STATES

#: How often a cell may take its worker down before it is a failed one.
ATTEMPTS = 3


def sweep_start() -> str:
    """A name for a sweep that starts now, here."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{socket.gethostname()}-{os.getpid()}"


def reason(error: Exception) -> str:
    """Why a run has failed; an exception that is not ours is said with its type."""
    if isinstance(error, AsdError):
        return str(error)
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


@dataclass(frozen=True)
class Cell:
    """One combination of a sweep's options. What has become of it is read from its run's folder.

    It trains so many ``models``, each for so many ``epochs`` at most. There is no ``path`` of a run
    if the config is refused (``refusal`` says why) or its data are not there.
    """

    number: int
    overrides: tuple[str, ...]
    label: str
    path: Path | None = None
    models: int = 1
    epochs: int = 1
    refusal: str | None = None
    experiment: Experiment | None = None

    @property
    def folder(self) -> RunFolder | None:
        """Its run's; another experiment with the very same settings may have made and named it."""
        if self.path is None:
            return None
        if self.path.exists():
            return RunFolder(self.path)
        name, _, identity = self.path.name.rpartition("-")
        return find_run(self.path.parent, name, identity)

    def record(self) -> dict[str, Any]:
        """What its ``run.json`` says; empty while there is none."""
        folder = self.folder
        return folder.record() if folder else {}

    def state(self) -> str:
        """``done``, ``running``, ``cut``, ``failed``, ``missing`` or ``refused``.

        ``cut`` is a run that was stopped, or whose process is dead; it goes on where it stood.
        """
        if self.refusal is not None:
            return REFUSED
        if (folder := self.folder) is None:
            return MISSING
        if (status := folder.record().get("status")) == FINISHED:
            return DONE
        # Of a run that has ended, others may hold the lock to look, or to sign.
        if folder.is_held(patient=status in (FAILED, KILLED)):
            return IN_PROGRESS
        return {None: MISSING, FAILED: BROKEN}.get(status, CUT)

    def failure(self) -> str | None:
        """Why it is refused or has failed; None if it has not."""
        record = self.record()
        if self.refusal is not None or record.get("status") != FAILED:
            return self.refusal
        return str((record.get("error") or {}).get("message", "its folder does not say why"))

    def summary(self) -> str:
        """How it ended, in few words, with the mean AUC of a finished run."""
        if (failure := self.failure()) is not None:
            return f"FAILED: {failure}"
        if self.folder is None or not self.folder.scores.exists():
            return "finished"
        from asd.scoring.clip_scores import NO_TEST_CLIPS, read_scores
        from asd.scoring.metrics import evaluate_scores

        max_fpr = float(self.record()["max_fpr"])
        scores = read_scores(self.folder.scores)
        auc = evaluate_scores(scores, max_fpr).mean["auc"]
        return f"finished, {f'mean AUC {100 * auc:.2f}' if len(scores) else NO_TEST_CLIPS}"

    def progress(self) -> float:
        """How many of its epochs have been trained, 0 to 1, whoever did it when."""
        if self.folder is None:
            return 0.0
        if self.record().get("status") == FINISHED:
            return 1.0
        done = sum(
            self.epochs if (m / "scores.csv").exists() else len(read_history(m / "history.csv"))
            for m in self.folder.models()
        )
        return min(1.0, done / (self.models * self.epochs))

    def is_through(self, sweep: str | None) -> bool:
        """Whether the sweep of this name needs not come back: finished, refused, or failed in it.

        A finished run is tried once that is to begin anew, or has no copy in its tracker yet; with
        no name nobody comes back to what has ended.
        """
        state, record = self.state(), self.record()
        if state not in (DONE, BROKEN):
            return state == REFUSED
        forced = any(o.lstrip("+") == "force=true" for o in self.overrides)
        copied = "mlflow" not in record or record.get("published", True)
        tried = sweep in (None, record.get("sweep"))
        return tried or (state == DONE and copied and not forced)

    def is_free(self, sweep: str) -> bool:
        """Whether nobody has it and the sweep is not through with it, which it now may be."""
        if self.folder is None or self.state() == IN_PROGRESS or self.is_through(sweep):
            return False
        if (deaths := self.count_deaths(sweep)) >= ATTEMPTS:
            self.fail(f"its process died {deaths} times (out of memory?)")
            self.sign(sweep)
        return deaths < ATTEMPTS

    def sign(self, sweep: str) -> None:
        """Note that this sweep had it: it fails for all of it, and begins anew only once."""
        if self.folder is not None and self.record():
            with suppress(RunIsBusyError), self.folder.lock():
                self.folder.update(sweep=sweep, deaths=0)

    def count_deaths(self, sweep: str | None) -> int:
        """How many processes of this sweep died with a run that nobody has at the moment.

        Asked with None before it begins, what died until then is not counted as its own.
        """
        if self.folder is None or not self.record():
            return 0
        with suppress(RunIsBusyError), self.folder.lock():
            record = self.record()
            deaths: int = record.get("deaths", 0) if record.get("sweep") == sweep else 0
            if record.get("status") == RUNNING:  # and yet the lock is free
                deaths += 1
                self.folder.update(status=KILLED, deaths=deaths, sweep=sweep)
            return deaths
        return 0

    def fail(self, failure: str, details: str = "") -> None:
        """Let the run's log and record say why it failed, unless another process has it by now."""
        if (folder := self.folder) is None:
            return
        with suppress(RunIsBusyError), folder.lock():
            with folder.log_file.open("a") as file:
                file.write(details or f"{failure}\n")
            if folder.record().get("status") != FINISHED:
                ended = int(time.time() * 1000)
                folder.update(status=FAILED, error={"message": failure}, ended=ended)


class Cells:
    """Composes and runs the cells of a sweep; data that several share are looked at once.

    With ``make`` a corpus is simulated that is not on the disk; else its cells have no folder.
    """

    def __init__(self, loader: ConfigLoader, master: DictConfig, make: bool = True) -> None:
        self.loader = loader
        self.master = master
        self.make = make
        self._data: dict[str, Clips | None] = {}

    def of(self, combinations: Sequence[Sequence[str]], first: int = 0) -> Iterator[Cell]:
        """The cells of these combinations of overrides, each composed when it is asked for.

        A cell is named by what they do not share. Those before the ``first`` come last.
        """
        shared = set(combinations[0]).intersection(*combinations) if len(combinations) > 1 else ()
        for i in range(first, first + len(combinations)):
            number = i % len(combinations)
            yield self.cell(number, combinations[number], shared)

    def cell(self, number: int, overrides: Sequence[str], shared: Collection[str] = ()) -> Cell:
        """One cell; a config that is refused is a cell that says so.

        Its name need not say the overrides that are ``shared``.
        """
        command = command_of([*search_path(self.master.hydra.overrides.hydra), *overrides])
        label = " ".join(o for o in overrides if o not in shared) or " ".join(overrides)
        cell = Cell(number, tuple(overrides), label)
        try:
            config = self.compose(overrides)
            label = run_name(config, command, list(shared))
            cell = replace(cell, label=label, epochs=config["trainer"]["max_epochs"])
            from asd.experiment.experiment import Experiment

            experiment = Experiment.of(config, command)
            clips = self._clips(experiment)
        except AsdError as error:
            return replace(cell, refusal=str(error))
        if clips is None:
            return cell
        path = experiment.folder(clips.data_hash()).path
        models = len(clips.groups(experiment.scope))
        return replace(cell, path=path, models=models, experiment=experiment)

    def compose(self, overrides: Sequence[str]) -> dict[str, Any]:
        """The options of a run with these overrides, as plain values."""
        from hydra.errors import HydraException
        from omegaconf.errors import OmegaConfBaseException

        try:
            composed = self._composed(overrides)
        except (HydraException, OmegaConfBaseException) as error:
            raise AsdError(refusal(error).splitlines()[0]) from error
        values: dict[str, Any] = plain(_without_hydra(composed))
        return values

    def _composed(self, overrides: Sequence[str]) -> DictConfig:
        """Hydra's config of a run, which its command need not say the sweep of."""
        composed = self.loader.load_sweep_config(self.master, list(overrides))
        composed.sweep.name = self.master.sweep.name
        return composed

    def run(self, cell: Cell, task: TaskFunction) -> Any:
        """Run one cell in this process, saying nothing to the terminal; gives the run's value.

        A failure ends the run's log and is noted in its ``run.json``, however early it came, and
        raised, as is a KeyboardInterrupt that stopped the run.
        """
        from hydra.core.hydra_config import HydraConfig

        composed = self._composed(cell.overrides)
        HydraConfig.instance().set_config(composed)
        try:
            with _quiet():
                return task(_without_hydra(composed))
        except SystemExit:  # Lightning's, when it is told to stop
            raise KeyboardInterrupt from None
        except (RunIsBusyError, Pruned):
            raise
        except Exception as error:
            cell.fail(reason(error), "".join(traceback.format_exception(error)))
            raise

    def _clips(self, experiment: Experiment) -> Clips | None:
        from asd.experiment.clips import Clips

        config = experiment.config
        key = json.dumps([config["data"], config["release"]["train"]], default=str)
        if key not in self._data:
            there = self.make or experiment.corpus.is_there(experiment.releases)
            self._data[key] = Clips.of(experiment) if there else None
        return self._data[key]


def _without_hydra(composed: DictConfig) -> DictConfig:
    return OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])


@contextmanager
def _quiet() -> Iterator[None]:
    """Say nothing to the terminal, which shows the sweep; the run folder's train.log has it all."""
    root = logging.getLogger()
    level, before = root.level, (root.handlers, progress.quiet)
    root.setLevel(logging.INFO)
    quiet = [h for h in root.handlers if type(h) is not logging.StreamHandler]
    root.handlers, progress.quiet = [*quiet, logging.NullHandler()], True
    try:
        yield
    finally:
        root.setLevel(level)
        root.handlers, progress.quiet = before
