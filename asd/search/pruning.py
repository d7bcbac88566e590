"""The trial's side of a search: tell the study of every epoch, and stop if it says so.

What is reported is what the objective would be if training ended now: with ``trainer.weights=best``
the value at the best epoch so far. With one model per machine type they are trained one after
another; the mean is over all of them, and one that is not begun counts as
``search.untrained_loss``, so that at equal steps trials have done equal work.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from asd.errors import Pruned
from asd.search.objectives import OBJECTIVES

if TYPE_CHECKING:
    from optuna.trial import Trial

log = logging.getLogger(__name__)

# Seconds for which a storage that did not answer is left alone: each attempt may cost a timeout.
_REST = 30.0


class Reports:
    """Of one run; does nothing where it is no trial, or its objective is not known by epoch.

    Args:
        search: the config node ``search``.
        groups: names of the run's models, in the order of their training.
        epochs: that each may train.
        best: whether the best epoch's weights score, or the last one's.
    """

    def __init__(
        self, search: dict[str, Any], groups: Sequence[str], epochs: int, best: bool
    ) -> None:
        self.search = search
        self.groups = list(groups)
        self.epochs = epochs
        self.best = best
        names = search["objectives"]
        column = OBJECTIVES[names[0]].column if len(names) == 1 else None
        self.column = column if search["trial"] is not None else None
        untrained = float(search["untrained_loss"])
        self._values = dict.fromkeys(self.groups, untrained)
        self._lowest = dict.fromkeys(self.groups, float("inf"))
        self._waiting: dict[int, float] = {}
        self._trial: Trial | None = None
        self._known: set[int] = set()
        self._not_before = 0.0

    def replay(self, group: str, rows: Sequence[dict[str, float]]) -> None:
        """Report the epochs of an earlier start; ``rows`` as in ``history.csv``.

        Raises:
            Pruned: the study has seen enough.
        """
        if self.column is None or not rows:
            return
        for row in rows:
            step = self._take(group, int(row["epoch"]), row)
        self._ask(step)

    def epoch(self, group: str, epoch: int, values: dict[str, float]) -> None:
        """Report an epoch, numbered from 0.

        Raises:
            Pruned: the study has seen enough.
        """
        if self.column is not None:
            self._ask(self._take(group, epoch, values))

    def _take(self, group: str, epoch: int, values: dict[str, float]) -> int:
        assert self.column is not None
        if not self.best or values["val/loss"] < self._lowest[group]:
            self._lowest[group] = values["val/loss"]
            self._values[group] = values.get(self.column, float("nan"))
        step = self.groups.index(group) * self.epochs + epoch
        self._waiting[step] = sum(self._values.values()) / len(self._values)
        return step

    def _ask(self, step: int) -> None:
        """Report what waits, then ask about the last of it."""
        from asd.search.store import storage_errors

        if time.monotonic() < self._not_before:
            return
        away: tuple[type[Exception], ...] = (KeyError, *storage_errors())
        try:
            if self._quietly(self._send):
                raise Pruned(step + 1)
        except away as error:
            # Training is worth more than its report; what waits is sent with a later epoch.
            self._not_before = time.monotonic() + _REST
            said = str(error).strip().splitlines() or [type(error).__name__]
            log.warning("the study's storage does not answer (%s); training goes on", said[0])

    def _send(self) -> bool:
        trial = self._trial = self._trial or self._open()
        if trial is None:
            return False
        for step in sorted(self._waiting):
            if step not in self._known:
                trial.report(self._waiting[step], step)
                self._known.add(step)
            del self._waiting[step]
        return trial.should_prune()

    def _open(self) -> Trial | None:
        """The trial in the study, None if that has closed it."""
        import optuna
        from optuna.trial import Trial, TrialState

        from asd.composition import build
        from asd.errors import AsdError
        from asd.search.store import open_storage

        number = self.search["trial"]
        try:
            storage = open_storage(self.search["storage"])
        except AsdError as error:
            raise OSError(str(error)) from error
        pruner = build(self.search["pruner"], "hydra.sweeper.pruner")
        # The sampler is asked nothing here.
        study = optuna.load_study(
            study_name=self.search["study"], storage=storage, pruner=pruner,
            sampler=optuna.samplers.RandomSampler(),
        )  # fmt: skip
        for frozen in study.get_trials(deepcopy=False):
            if frozen.number == number and frozen.state == TrialState.RUNNING:
                self._known = set(frozen.intermediate_values)
                return Trial(study, frozen._trial_id)
        log.info("trial %s is closed; nothing is reported to it", number)
        self.column = None
        return None

    def _quietly(self, do: Callable[[], bool]) -> bool:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a pruner is experimental
            return do()
