"""One worker's trials: taken up, run in this process, and told to the study."""

from __future__ import annotations

import logging
import math
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages._heartbeat import get_heartbeat_thread
from optuna.study import Study
from optuna.trial import Trial, TrialState

from asd.errors import AsdError, Pruned
from asd.search.storage import reaching
from asd.search.study import Search, seeded_sampler
from asd.sweeps.cells import Cell
from asd.sweeps.outcomes import Outcome, reason

log = logging.getLogger(__name__)

# Seconds between two looks for a trial, where all are taken.
_LOOK = 1.0
# A trial whose workers died this often takes the next one down too.
_DEATHS = 3


def run_trials(
    search: Search, study: Study, run: Callable[[Cell], Outcome], look: Callable[[], object]
) -> None:
    """Run trials that wait, one after another, until none is left, or too many in a row failed.

    With nothing left to begin, wait until it would be known that another worker died just now, to
    take up its trial.

    Args:
        search: what is searched.
        study: its study.
        run: runs a trial's cell in this process.
        look: called when a trial begins and when it has ended.

    Raises:
        KeyboardInterrupt: stopped; the trial waits for whoever comes next.
    """
    patience = search.options.dead_after_seconds + 2 * _LOOK
    failed, idle = 0, time.monotonic()
    while failed < search.options.failure_grace and time.monotonic() - idle < patience:
        if (trial := _take(search, study)) is not None:
            failed = failed + 1 if _run(search, trial, run, look) == TrialState.FAIL else 0
            idle = time.monotonic()
        elif any(t.state == TrialState.RUNNING for t in study.get_trials(deepcopy=False)):
            time.sleep(_LOOK)
        else:
            return
    if failed >= search.options.failure_grace:
        log.warning(
            "%d trials in a row failed (hydra.sweeper.failure_grace); no more are begun", failed
        )


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


def _run(
    search: Search, trial: Trial, run: Callable[[Cell], Outcome], look: Callable[[], object]
) -> TrialState:
    try:
        with get_heartbeat_thread(trial._trial_id, search.storage):
            cell = _cell(search, trial)
            look()
            outcome = run(cell) if cell.error is None else Outcome(cell, None, AsdError(cell.error))
        return _tell(search, trial, outcome)
    except KeyboardInterrupt:
        # It waits for the next worker. What cannot be told now, the end of its heartbeat will.
        with suppress(UpdateFinishedTrialError, AsdError), reaching(search.url):
            search.storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
        raise
    finally:
        look()


def _cell(search: Search, trial: Trial) -> Cell:
    """The trial's run, noted in the study with who runs it; one with an error if it is refused."""
    trial.set_user_attr("worker", f"{socket.gethostname()} {os.getpid()}")
    url = QuotedString(search.url, Quote.single).with_quotes()
    reporting = [f"search.storage={url}", f"search.study={search.name}"]
    # Two trials with the same values are one run: the second waits for the first.
    reporting += [f"search.trial={trial.number}", "if_running=wait"]
    try:
        overrides = search.space.suggest(search.cells.master, trial)
        if (deaths := trial.user_attrs.get("deaths", 0)) >= _DEATHS:
            raise AsdError(f"its process died {deaths} times (out of memory?)")
    except AsdError as error:
        return Cell(trial.number, (), "", None, error=str(error))
    cell = search.cells.cell(trial.number, [*overrides, *reporting])
    if cell.folder is not None:
        trial.set_user_attr("models", cell.models)
        trial.set_user_attr("run", cell.folder.path.name)
    return cell


def _tell(search: Search, trial: Trial, outcome: Outcome) -> TrialState:
    values: Any = outcome.value if isinstance(outcome.value, list) else [outcome.value]
    error, state = outcome.error, TrialState.COMPLETE
    if error is None and not all(isinstance(v, float) and math.isfinite(v) for v in values):
        error = AsdError(f"the objective is {outcome.value}, which is no number to compare")
    if error is not None:
        state = TrialState.PRUNED if isinstance(error, Pruned) else TrialState.FAIL
    with suppress(UpdateFinishedTrialError):
        if error is not None and state == TrialState.FAIL:
            trial.set_user_attr("error", reason(error))
            trial.set_user_attr("refused", isinstance(error, AsdError))
        # Others may have taken this worker for dead, so that its trial waits; yet it has ended.
        search.storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING)
        trial.study.tell(trial, None if error else values, state, skip_if_finished=True)
    return state
