"""The trial's side of a search: tell the study of every epoch, and stop if it says so.

What is reported is what the objective would be if training ended now: with ``trainer.weights=best``
the value at the best epoch so far. With one model per machine type they are trained one after
another; the mean is over all of them, and one that is not begun counts as
``search.untrained_loss``, so that at equal steps trials have done equal work.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asd.errors import Pruned
from asd.experiment.history import judged, read_history
from asd.experiment.listener import RunListener
from asd.search.objectives import COLUMNS, TEST, selected_on

if TYPE_CHECKING:
    from optuna.trial import Trial

    from asd.experiment.run_folder import RunFolder

log = logging.getLogger(__name__)

SELECTED_ON, PRUNED = "selected_on", "pruned"

#: The trial that the next run of this process is.
current_trial: ContextVar[Trial | None] = ContextVar("current_trial", default=None)


class PruningListener(RunListener):
    """Tags a run that is a trial, reports its epochs and prunes it; of another it does nothing."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.trial = current_trial.get()
        self.objectives: list[str] = config["search"]["objectives"]
        self.untrained_loss = float(config["search"]["untrained_loss"])
        self.epochs = config["trainer"]["max_epochs"]
        self.best = config["trainer"]["weights"] == "best"
        judged = self.trial is not None and len(self.objectives) == 1
        self.column = COLUMNS.get(self.objectives[0]) if judged else None
        self._models: list[Path] = []
        self._told = -1
        self._pruned: Pruned | None = None

    def finished_before(self, folder: RunFolder) -> None:
        """Tag a run that was finished before it became a trial."""
        tags = folder.record().get("tags", {})
        if (tagged := self._tagged(tags)) != tags:  # the folder may be read-only
            folder.update(tags=tagged)

    def started(self, folder: RunFolder, models: Sequence[str]) -> None:
        """Tag the run; of an earlier pruning nothing is left to say."""
        self._models = [folder.model(name) for name in models]
        self.finished_before(folder)

    def _tagged(self, tags: dict[str, str]) -> dict[str, str]:
        """Tags with those of the trial. Once test clips have had a say, they have had it."""
        kept = {name: value for name, value in tags.items() if name != PRUNED}
        if self.trial is None:
            return kept
        clips = TEST if kept.get(SELECTED_ON) == TEST else selected_on(self.objectives)
        trial = {"study": self.trial.study.study_name, "trial": str(self.trial.number)}
        return {**kept, **trial, SELECTED_ON: clips}

    def model_started(self, model: str, history: Sequence[Mapping[str, float]]) -> None:
        """Report the epochs of an earlier start; raises ``Pruned`` if the study has seen enough."""
        if history:
            self._report()

    def epoch_ended(self, model: str, epoch: int, values: Mapping[str, float]) -> None:
        """Report an epoch; raises as ``model_started``."""
        self._report()

    def ended(self, folder: RunFolder, status: str) -> None:
        """Say of a pruned run that it is one."""
        if self._pruned is not None:
            folder.update(tags={**folder.record()["tags"], PRUNED: str(self._pruned)})

    def _steps(self) -> Iterator[tuple[int, float]]:
        """Each epoch so far, from 0 over all models, and what is reported of it."""
        values = dict.fromkeys(self._models, self.untrained_loss)
        for number, model in enumerate(self._models):
            lowest: tuple[float, ...] = (math.inf,)
            for row in read_history(model / "history.csv"):
                if not self.best or judged(row) < lowest:
                    lowest = judged(row)
                    values[model] = row.get(str(self.column), math.nan)
                yield number * self.epochs + int(row["epoch"]), sum(values.values()) / len(values)

    def _report(self) -> None:
        """Report what the study was not told yet, then ask about the last of it."""
        if self.trial is None or self.column is None:
            return
        from optuna.exceptions import UpdateFinishedTrialError

        from asd.search.storage import ERRORS

        try:
            for step, value in self._steps():
                if step > self._told:
                    self.trial.report(value, step)
                    self._told = step
            if self.trial.should_prune():
                self._pruned = Pruned(self._told + 1)
        except ERRORS as error:
            # Training is worth more than its report; it is sent with a later epoch's.
            log.warning("the study does not answer; training goes on. %s", error)
        except UpdateFinishedTrialError:
            log.info("trial %s is closed; nothing is reported to it", self.trial.number)
            self.column = None
        if self._pruned is not None:
            raise self._pruned
