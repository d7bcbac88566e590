"""Trials as cells of a sweep, whoever runs them: what has become of each, as the study says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from asd.search.storage import reaching
from asd.search.study import Search
from asd.sweeps.cells import BROKEN, CUT, DONE, IN_PROGRESS, Cell, Failure

_STATES = {
    TrialState.COMPLETE: DONE,
    TrialState.PRUNED: DONE,
    TrialState.FAIL: BROKEN,
    TrialState.RUNNING: IN_PROGRESS,
}


@dataclass(frozen=True)
class TrialCell(Cell):
    """A trial; its AUC, which a search is not to look at, is not shown.

    Args:
        trial: as the study had it when it was looked at.
        objectives: in words, of one that is complete.
    """

    trial: FrozenTrial | None = None
    objectives: str = ""

    def state(self) -> str:
        """See ``Cell``; one that waits has perhaps begun."""
        waiting = CUT if self.path else super().state()
        return _STATES.get(self.trial.state, waiting) if self.trial else waiting

    def is_through(self, sweep: str | None) -> bool:
        """See ``Cell``; no trial is tried again."""
        return self.state() in (DONE, BROKEN)

    def failure(self) -> Failure | None:
        """See ``Cell``."""
        if self.trial is None or self.trial.state != TrialState.FAIL:
            return None
        about = self.trial.user_attrs
        return Failure(
            str(about.get("error", "the study does not say why")), bool(about.get("refused"))
        )

    def summary(self) -> str:
        """See ``Cell``."""
        if self.trial and self.trial.state == TrialState.PRUNED:
            return f"pruned after epoch {(self.trial.last_step or 0) + 1}"
        return f"finished, {self.objectives}" if self.objectives else super().summary()


def trial_cells(search: Search, study: Study) -> Sequence[TrialCell]:
    """The trials that a search is to have, as they are now.

    Raises:
        AsdError: the storage does not answer.
    """
    with reaching(search.url):
        trials = study.get_trials(deepcopy=False)[: search.options.n_trials]
    epochs = search.config["trainer"]["max_epochs"]
    cells = []
    for trial in trials:
        run, models = trial.user_attrs.get("run"), trial.user_attrs.get("models")
        cells.append(
            TrialCell(
                trial.number,
                search.space.overrides(trial.params),
                f"trial {trial.number}: {described(trial.params)}".removesuffix(": "),
                search.runs / Path(str(run)).name if run else None,  # wherever it would lead
                models if isinstance(models, int) and models > 0 else 1,
                epochs,
                trial=trial,
                objectives=search.values_of(trial) if trial.state == TrialState.COMPLETE else "",
            )
        )
    return cells


def described(params: dict[str, Any]) -> str:
    """Options and their values, in few digits: ``trainer.learning_rate=0.00123``."""
    return " ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in params.items()
    )
