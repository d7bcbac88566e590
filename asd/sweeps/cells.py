"""The cells of a sweep: for each combination of options the run that it stands for."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from asd.composition import command_of, plain
from asd.errors import AsdError
from asd.experiment.run_folder import FAILED, FINISHED, RUNNING, RunFolder
from asd.experiment.run_labels import run_name, run_params

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader

    from asd.experiment.clips import Clips
    from asd.experiment.experiment import Experiment

# What a cell may be, in the order of the status table.
DONE, IN_PROGRESS, CUT, BROKEN, MISSING, REFUSED = (
    "done",
    "running",
    "cut",
    "failed",
    "missing",
    "refused",
)


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

    @property
    def command(self) -> str:
        """What runs this cell alone."""
        return command_of(self.overrides)

    def state(self) -> str:
        """``done``, ``running``, ``cut``, ``failed``, ``missing`` or ``refused``.

        ``cut`` is a run that was stopped, or whose process is dead; it goes on where it stood.
        """
        if self.error is not None:
            return REFUSED
        status = None if self.folder is None else self.folder.record().get("status")
        if self.folder is None or status is None:
            return MISSING
        if status == FINISHED:
            return DONE
        if self.folder.is_held():
            return IN_PROGRESS
        return BROKEN if status == FAILED else CUT

    def progress(self) -> float:
        """How much of a run in progress is done, 0 to 1."""
        if self.folder is None:
            return 0.0
        record = self.folder.record()
        if record.get("status") == FINISHED:
            return 1.0
        return self.trained() if record.get("status") == RUNNING else 0.0

    def trained(self) -> float:
        """How many of its epochs have been trained, 0 to 1, whoever did it when."""
        if self.folder is None:
            return 0.0
        done = 0.0
        for model in self.folder.models():
            finished = (model / "scores.csv").exists()
            done += 1.0 if finished else _epochs(model / "history.csv") / self.epochs
        return min(1.0, done / self.models)


def _epochs(history: Path) -> int:
    try:
        return max(0, history.read_text().count("\n") - 1)
    except FileNotFoundError:
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

    def of(self, combinations: Sequence[Sequence[str]]) -> list[Cell]:
        """The cells of these combinations of overrides, in order, named by what they do not share.

        Args:
            combinations: the overrides of each.
        """
        return list(self.beginning_with(0, combinations))

    def beginning_with(self, first: int, combinations: Sequence[Sequence[str]]) -> Iterator[Cell]:
        """The same from another one on, the first ones last; each composed when it is asked for."""
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
        telling = command_of([o for o in overrides if o not in shared])
        label = " ".join(o for o in overrides if o not in shared) or " ".join(overrides)
        try:
            config = self.compose(overrides)
            params = run_params(config, {}, telling)
            label = run_name(config["tracking"]["run_name"], telling, params)
            from asd.experiment.experiment import Experiment

            experiment = Experiment.of(config, {}, command_of(overrides))
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
