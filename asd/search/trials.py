"""One worker's trials: taken up, run in this process, and told to the study."""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages._heartbeat import get_heartbeat_thread
from optuna.study import Study
from optuna.trial import Trial, TrialState

from asd.errors import AsdError, Pruned
from asd.search.storage import StorageError, patiently, reaching
from asd.search.study import Search, seeded_sampler
from asd.sweeps.cells import ATTEMPTS, Cell
from asd.sweeps.outcomes import Outcome, RunFailedError, reason
from asd.sweeps.workers import is_worker

# Seconds between two looks for a trial, where all are taken.
_LOOK = 1.0


class TrialLoop:
    """Runs trials that wait, one after another, until none is left.

    Args:
        search: what is searched.
        study: its study.
        run: runs a trial's cell in this process.
        look: called when a trial begins and when it has ended.
    """

    def __init__(
        self,
        search: Search,
        study: Study,
        run: Callable[[Cell], Outcome],
        look: Callable[[], object],
    ) -> None:
        self.search = search
        self.study = study
        self.storage = search.storage
        self.run_cell = run
        self.look = look

    def run(self) -> None:
        """Run them all.

        With nothing left to begin, wait until it would be known that another worker died just now,
        to take up its trial.

        Raises:
            StorageError: the storage is away for minutes.
            KeyboardInterrupt: stopped; the trial waits for whoever comes next.
        """
        patience, idle = self.search.options.dead_after_seconds + 2 * _LOOK, time.monotonic()
        while time.monotonic() - idle < patience:
            trial, left = patiently(self.search.url, self._take)
            if trial is not None:
                self._run(trial)
                idle = time.monotonic()
            elif not left:
                return
            else:
                time.sleep(_LOOK)

    def _take(self) -> tuple[Trial | None, bool]:
        """A trial that waits, now ours, and whether others are running."""
        for trial_id in self.storage._get_stale_trial_ids(self.study._study_id):
            self._put_back(trial_id)
        if self.search.too_many_failed(self.study):
            return None, False
        trials = self.study.get_trials(deepcopy=False)
        for frozen in trials[: self.search.options.n_trials]:
            if frozen.state != TrialState.WAITING:
                continue
            # First, for a running trial without a heartbeat would never count as stale.
            self.storage.record_heartbeat(frozen._trial_id)
            with suppress(UpdateFinishedTrialError):
                if self.storage.set_trial_state_values(frozen._trial_id, TrialState.RUNNING):
                    options = self.search.options.sampler
                    self.study.sampler = seeded_sampler(options, frozen.number)
                    return Trial(self.study, frozen._trial_id), True
        return None, any(trial.state == TrialState.RUNNING for trial in trials)

    def _put_back(self, trial_id: int) -> None:
        """Let a trial wait, with its number and its values, for the next worker."""
        with suppress(UpdateFinishedTrialError):
            self.storage.set_trial_state_values(trial_id, TrialState.WAITING)

    def _run(self, trial: Trial) -> None:
        url = self.search.url
        try:
            with get_heartbeat_thread(trial._trial_id, self.storage):
                cell = self._cell(trial)
                patiently(url, lambda: self._describe(trial, cell))
                self.look()
                error = _refusal(cell)
                outcome = Outcome(cell, None, error) if error else self.run_cell(cell)
            patiently(url, lambda: self._tell(trial, outcome))
        except KeyboardInterrupt:
            # What cannot be told now, the end of its heartbeat will.
            with suppress(StorageError), reaching(url):
                self._put_back(trial._trial_id)
            raise
        self.look()

    def _cell(self, trial: Trial) -> Cell:
        """The trial's run; one with an error if it is refused."""
        space, cells = self.search.space, self.search.cells
        try:
            overrides = patiently(self.search.url, lambda: space.suggest(cells.master, trial))
        except StorageError:
            raise
        except AsdError as error:
            return Cell(trial.number, (), "", None, error=str(error))
        return cells.cell(trial.number, overrides)

    def _describe(self, trial: Trial, cell: Cell) -> None:
        """Note in the study who runs the trial, and in which folder."""
        trial.set_user_attr("worker", f"{socket.gethostname()} {os.getpid()}")
        if cell.folder is not None:
            trial.set_user_attr("models", cell.models)
            trial.set_user_attr("run", cell.folder.path.name)

    def _tell(self, trial: Trial, outcome: Outcome) -> None:
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
            self.storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING)
            self.study.tell(trial, None if error else values, state, skip_if_finished=True)


def _refusal(cell: Cell) -> Exception | None:
    """Why a trial is not run: its options are refused, or its run takes its workers down."""
    if cell.error is not None:
        return AsdError(cell.error)
    if is_worker():  # which a launcher would replace again and again
        deaths = cell.count_deaths(os.environ["ASD_WORKER"])
        if deaths >= ATTEMPTS:
            return RunFailedError(f"its process died {deaths} times (out of memory?)")
    return None
