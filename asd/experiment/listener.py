"""What wants to know how a run goes: a tracker, a search, pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from asd.experiment.run_folder import RunFolder
    from asd.scoring.metrics import Metrics
    from asd.scoring.scorer import ScoredClips


class RunListener:
    """Told of a run's events in the order of these methods; each does nothing by default.

    Listeners are told one after another, in the order in which the run was given them. What a
    method raises ends the run, with the status FAILED, or KILLED for ``Pruned``. To add one:
    a class like this, and ``listeners.NAME._target_`` in the config.
    """

    def check(self) -> None:
        """Before anything is computed.

        Raises:
            AsdError: what the listener needs is not there.
        """

    def finished_before(self, folder: RunFolder) -> None:
        """This very run was finished by an earlier start; nothing is computed."""

    def started(self, folder: RunFolder, models: Sequence[str]) -> None:
        """``run.json`` says what the run is (tags, params, datasets, run_name), status RUNNING.

        Args:
            folder: the run's.
            models: names of those that it will train, in order.
        """

    def model_started(self, model: str, history: Sequence[Mapping[str, float]]) -> None:
        """A model trains, or goes on after the epochs of ``history``, or was trained before."""

    def epoch_ended(self, model: str, epoch: int, values: Mapping[str, float]) -> None:
        """The epoch's row is in ``history.csv``; training goes on when this returns.

        Args:
            model: its name.
            epoch: from 0.
            values: ``train/loss``, ``val/loss``, ``learning_rate``, ``epoch_seconds`` and others.

        Raises:
            Pruned: a search has seen enough.
        """

    def clips_scored(self, scored: ScoredClips) -> None:
        """Test clips of one machine type have scores; ``scored`` has what they were made from."""

    def model_scored(self, model: str, folder: Path) -> None:
        """All test clips of a model have scores; ``folder`` is the model's."""

    def scored(self, folder: RunFolder, scores: pd.DataFrame, metrics: Metrics) -> None:
        """All models have; scores and tables are on disk."""

    def ended(self, folder: RunFolder, status: str) -> None:
        """Whatever ended the run; ``run.json`` says so."""


class Listeners(list[RunListener]):
    """The listeners of one run, in the order in which they are told."""

    def tell(self, event: Callable[..., None], *arguments: Any) -> None:
        """Call this method of ``RunListener``, with these arguments, of each."""
        for listener in self:
            getattr(listener, event.__name__)(*arguments)
