"""The cells of a sweep: for each combination of options the run that it stands for."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from asd.composition import command_of, plain, search_path
from asd.errors import AsdError, RunIsBusyError
from asd.experiment.history import read_history
from asd.experiment.run_folder import FAILED, FINISHED, KILLED, RUNNING, RunFolder
from asd.experiment.run_labels import run_name

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader

    from asd.experiment.clips import Clips
    from asd.experiment.experiment import Experiment

# What a cell may be.
DONE, IN_PROGRESS, CUT, BROKEN = "done", "running", "cut", "failed"
REFUSED, MISSING = "refused", "missing"

#: How often a cell may take its worker down before it is a failed one.
ATTEMPTS = 3


def sweep_start() -> str:
    """A name for a sweep that starts now, here."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{socket.gethostname()}-{os.getpid()}"


@dataclass(frozen=True)
class Cell:
    """One combination of a sweep's options.

    Args:
        number: its place in the sweep.
        overrides: that make it.
        label: what it is called.
        folder: of its run; None if the config is refused or its data are not there.
        models: that it trains.
        epochs: that each of them may train.
        error: why it cannot run.
    """

    number: int
    overrides: tuple[str, ...]
    label: str
    folder: RunFolder | None
    models: int = 1
    epochs: int = 1
    error: str | None = None

    def record(self) -> dict[str, Any]:
        """What its ``run.json`` says; empty while there is none."""
        return {} if self.folder is None else self.folder.record()

    def state(self) -> str:
        """``done``, ``running``, ``cut``, ``failed``, ``missing`` or ``refused``.

        ``cut`` is a run that was stopped, or whose process is dead; it goes on where it stood.
        """
        if self.error is not None:
            return REFUSED
        status = self.record().get("status")
        if self.folder is None or status is None:
            return MISSING
        if status == FINISHED:
            return DONE
        if self.folder.is_held():
            return IN_PROGRESS
        return BROKEN if status == FAILED else CUT

    def progress(self) -> float:
        """How many of its epochs have been trained, 0 to 1, whoever did it when."""
        if self.folder is None:
            return 0.0
        if self.record().get("status") == FINISHED:
            return 1.0
        done = 0.0
        for model in self.folder.models():
            finished = (model / "scores.csv").exists()
            done += 1.0 if finished else len(read_history(model / "history.csv")) / self.epochs
        return min(1.0, done / self.models)

    def has_more_to_do(self) -> bool:
        """Whether a finished run is to begin anew (``force``), or its tracker lacks a copy."""
        record = self.record()
        forced = any(o.lstrip("+") == "force=true" for o in self.overrides)
        return forced or ("mlflow" in record and not record.get("published", True))

    def is_through(self, sweep: str) -> bool:
        """Whether the sweep of this name needs not come back: finished, or failed in this sweep."""
        state = self.state()
        if state == DONE and not self.has_more_to_do():
            return True
        return state in (DONE, BROKEN) and self.record().get("sweep") == sweep

    def sign(self, sweep: str) -> None:
        """Note that this sweep had it: it fails for all of it, and begins anew only once."""
        if self.folder is not None and self.record():
            with suppress(RunIsBusyError), self.folder.lock():
                self.folder.update(sweep=sweep)

    def count_deaths(self, sweep: str | None) -> int:
        """How many processes of this sweep died with a run that nobody has at the moment.

        Args:
            sweep: None before it begins: what died then does not count.
        """
        if self.folder is None or not self.record():
            return 0
        with suppress(RunIsBusyError), self.folder.lock():
            record = self.folder.record()
            deaths: dict[str, int] = record.get("deaths", {})
            if record.get("status") == RUNNING:  # and yet the lock is free
                if sweep is not None:
                    deaths = {**deaths, sweep: deaths.get(sweep, 0) + 1}
                self.folder.update(status=KILLED, deaths=deaths, sweep=sweep)
            return deaths.get(str(sweep), 0)
        return 0


class Cells:
    """Composes the cells of a sweep; data that several share are looked at once.

    Args:
        loader: Hydra's.
        master: the sweep's own config.
        make: simulate a corpus that is not on the disk; else its cells have no folder.
    """

    def __init__(self, loader: ConfigLoader, master: DictConfig, make: bool = True) -> None:
        self.loader = loader
        self.master = master
        self.make = make
        self._data: dict[str, Clips | None] = {}

    def of(self, combinations: Sequence[Sequence[str]], first: int = 0) -> Iterator[Cell]:
        """The cells of these combinations of overrides, each composed when it is asked for.

        Args:
            combinations: the overrides of each; a cell is named by what they do not share.
            first: which one comes first; those before it come last.
        """
        shared = set(combinations[0]).intersection(*combinations) if len(combinations) > 1 else ()
        for i in range(first, first + len(combinations)):
            number = i % len(combinations)
            yield self.cell(number, combinations[number], shared)

    def cell(self, number: int, overrides: Sequence[str], shared: Collection[str] = ()) -> Cell:
        """One cell; a config that is refused is a cell with its error.

        Args:
            number: its place in the sweep.
            overrides: that make it.
            shared: those that its name need not say.
        """
        command = command_of([*search_path(self.master.hydra.overrides.hydra), *overrides])
        label = " ".join(o for o in overrides if o not in shared) or " ".join(overrides)
        try:
            config = self.compose(overrides)
            label = run_name(config, command, list(shared))
            from asd.experiment.experiment import Experiment

            experiment = Experiment.of(config, {}, command)
            clips = self._clips(experiment)
        except AsdError as error:
            return Cell(number, tuple(overrides), label, None, error=str(error))
        if clips is None:
            return Cell(number, tuple(overrides), label, None)
        models = len(clips.groups(config["scope"]["name"]))
        epochs = config["trainer"]["max_epochs"]
        folder = experiment.folder(clips.data_hash())
        return Cell(number, tuple(overrides), label, folder, models, epochs)

    def compose(self, overrides: Sequence[str]) -> dict[str, Any]:
        """The options of a run with these overrides, as plain values.

        Raises:
            AsdError: they are refused.
        """
        from hydra.errors import HydraException
        from omegaconf.errors import OmegaConfBaseException

        try:
            composed = self.loader.load_sweep_config(self.master, list(overrides))
        except (HydraException, OmegaConfBaseException) as error:
            raise AsdError(str(error).splitlines()[0]) from error
        config = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
        values: dict[str, Any] = plain(config)
        return values

    def _clips(self, experiment: Experiment) -> Clips | None:
        from asd.experiment.clips import Clips

        config = experiment.config
        key = json.dumps([config["data"], config["release"]["train"]], default=str)
        if key not in self._data:
            there = self.make or experiment.corpus.is_there(experiment.releases)
            self._data[key] = Clips.of(experiment) if there else None
        return self._data[key]
