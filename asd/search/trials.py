"""Trials: taken up, run in this process, told to the study, and shown as cells of a sweep."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages._heartbeat import get_heartbeat_thread
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from asd.errors import AsdError, Pruned
from asd.search.pruning import current_trial
from asd.search.storage import reaching
from asd.search.study import Search, seeded_sampler
from asd.sweeps.cells import ATTEMPTS, BROKEN, CUT, DONE, IN_PROGRESS, Cell, reason
from asd.tracking.sync import list_runs

log = logging.getLogger(__name__)

# Seconds between two looks for a trial, where all are taken.
_LOOK = 1.0
_STATES = {
    TrialState.COMPLETE: DONE,
    TrialState.PRUNED: DONE,
    TrialState.FAIL: BROKEN,
    TrialState.RUNNING: IN_PROGRESS,
}


def run_trials(search: Search, study: Study, run: Callable[[Cell], Any]) -> None:
    """Run trials that wait, one after another, until none is left, or too many in a row failed.

    With nothing left to begin, wait until it would be known that another worker died just now, to
    take up its trial. One that is stopped waits for whoever comes next. ``run`` gives a cell's
    objectives, or raises why not.
    """
    patience = search.options.dead_after_seconds + 2 * _LOOK
    failed, idle, grace = 0, time.monotonic(), search.options.failure_grace
    while failed < grace and time.monotonic() - idle < patience:
        if (trial := _take(search, study)) is not None:
            failed = failed + 1 if _run(search, trial, run) == TrialState.FAIL else 0
            idle = time.monotonic()
        elif any(t.state == TrialState.RUNNING for t in study.get_trials(deepcopy=False)):
            time.sleep(_LOOK)
        else:
            return
    if failed >= grace:
        message = "%d trials in a row failed (hydra.sweeper.failure_grace); no more are begun"
        log.warning(message, failed)


def _take(search: Search, study: Study) -> Trial | None:
    """A trial that waits, now ours; also one whose worker is dead."""
    storage = search.storage
    for trial_id in storage._get_stale_trial_ids(study._study_id):
        deaths = storage.get_trial(trial_id).user_attrs.get("deaths", 0)
        with suppress(UpdateFinishedTrialError):
            storage.set_trial_user_attr(trial_id, "deaths", deaths + 1)
            storage.set_trial_state_values(trial_id, TrialState.WAITING)
    for waiting in study.get_trials(deepcopy=False)[: search.options.n_trials]:
        if waiting.state == TrialState.WAITING:
            # First, for a running trial without a heartbeat would never count as stale.
            storage.record_heartbeat(waiting._trial_id)
            with suppress(UpdateFinishedTrialError):
                if storage.set_trial_state_values(waiting._trial_id, TrialState.RUNNING):
                    study.sampler = seeded_sampler(search.options.sampler, waiting.number)
                    return Trial(study, waiting._trial_id)
    return None


def _run(search: Search, trial: Trial, run: Callable[[Cell], Any]) -> TrialState:
    """Run a trial and tell the study; gives the state in which it ended."""
    storage, values, failure = search.storage, None, None
    try:
        with get_heartbeat_thread(trial._trial_id, storage):
            cell, token = _cell(search, trial), current_trial.set(trial)
            known = cell.folder if cell.state() == DONE else None
            try:
                values = _finite(run(cell)) if cell.refusal is None else None
                state, failure = TrialState.COMPLETE, cell.refusal
                if known and cell.experiment:  # finished elsewhere: the search's list has it too
                    list_runs([(cell.experiment, known)])
            except Pruned:
                state = TrialState.PRUNED
            except Exception as error:
                failure = reason(error)
            finally:
                current_trial.reset(token)
    except KeyboardInterrupt:
        # It waits for the next worker. What cannot be told now, the end of its heartbeat will.
        with suppress(UpdateFinishedTrialError, AsdError), reaching(search.url):
            storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
        raise
    with suppress(UpdateFinishedTrialError):
        if failure is not None:
            state = TrialState.FAIL
            trial.set_user_attr("error", failure)
        # Others may have taken this worker for dead, so that its trial waits; yet it has ended.
        storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING)
        trial.study.tell(trial, values, state, skip_if_finished=True)
    return state


def _cell(search: Search, trial: Trial) -> Cell:
    """The trial's run, noted in the study."""
    try:
        overrides = search.space.suggest(trial)
        if (deaths := trial.user_attrs.get("deaths", 0)) >= ATTEMPTS:
            raise AsdError(f"its process died {deaths} times (out of memory?)")
    except AsdError as error:
        return Cell(trial.number, (), "", refusal=str(error))
    # Two trials with the same values are one run: the second waits for the first.
    cell = search.cells.cell(trial.number, [*overrides, "if_running=wait"])
    if cell.path is not None:
        trial.set_user_attr("models", cell.models)
        trial.set_user_attr("run", cell.path.name)
    return cell


def _finite(value: Any) -> list[float]:
    """A run's objectives; an ``AsdError`` where one of them is no number to compare."""
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(one, float) and math.isfinite(one) for one in values):
        raise AsdError(f"the objective is {value}, which is no number to compare")
    return values


@dataclass(frozen=True, kw_only=True)
class TrialCell(Cell):
    """A trial as the study has it; its AUC, which a search is not to look at, is not shown."""

    search: Search
    trial: FrozenTrial

    def state(self) -> str:
        """See ``Cell``; one that waits has perhaps begun."""
        waiting = CUT if self.path else super().state()
        return _STATES.get(self.trial.state, waiting)

    def is_through(self, sweep: str | None) -> bool:
        """See ``Cell``; no trial is tried again."""
        return self.state() in (DONE, BROKEN)

    def failure(self) -> str | None:
        """See ``Cell``."""
        said = str(self.trial.user_attrs.get("error", "the study does not say why"))
        return said if self.trial.state == TrialState.FAIL else None

    def summary(self) -> str:
        """See ``Cell``."""
        if self.trial.state == TrialState.PRUNED:
            return f"pruned after epoch {(self.trial.last_step or 0) + 1}"
        complete = self.trial.state == TrialState.COMPLETE
        return f"finished, {self.search.values_of(self.trial)}" if complete else super().summary()


def trial_cells(search: Search, study: Study) -> Sequence[TrialCell]:
    """The trials that a search is to have, as they are now."""
    with reaching(search.url):
        trials = study.get_trials(deepcopy=False)[: search.options.n_trials]
    epochs = search.config["trainer"]["max_epochs"]
    cells = []
    for trial in trials:
        run, models = trial.user_attrs.get("run"), trial.user_attrs.get("models")
        path = search.runs / Path(str(run)).name if run else None  # wherever it would lead
        models = models if isinstance(models, int) and models > 0 else 1
        label = f"trial {trial.number}: {described(trial.params)}".removesuffix(": ")
        overrides = search.space.overrides(trial.params)
        known = (trial.number, overrides, label, path, models, epochs)
        cells.append(TrialCell(*known, search=search, trial=trial))
    return cells


def described(params: dict[str, Any]) -> str:
    """Options and their values, in few digits: ``trainer.learning_rate=0.00123``."""
    return " ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in params.items()
    )
