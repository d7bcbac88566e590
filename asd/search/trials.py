"""The trials of a study as this worker runs them: asked when a place is free, told when ended."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
import time
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from asd.errors import AsdError, Pruned
from asd.search.options import SearchOptions
from asd.search.space import Space, quoted
from asd.search.store import exclusively, storage_errors, unusable
from asd.search.study import build_sampler
from asd.search.workers import Worker
from asd.sweeps.cells import Cell, Cells
from asd.sweeps.conduct import Ended

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import Trial

log = logging.getLogger(__name__)

# Seconds between two attempts on a storage that is away, and how many there are.
_PAUSE, _ATTEMPTS = 10.0, 30
T = TypeVar("T")


class Trials:
    """Asks the study for trials and tells it of them.

    Args:
        study: the study.
        url: of its storage.
        space: what is searched.
        options: of the sweeper.
        cells: composes the trials' runs.
        worker: this process.
        say: prints a line.
    """

    def __init__(
        self,
        study: Study,
        url: str,
        space: Space,
        options: SearchOptions,
        cells: Cells,
        worker: Worker,
        say: Callable[[str], None],
    ) -> None:
        self.study = study
        self.url = url
        self.space = space
        self.options = options
        self.cells = cells
        self.worker = worker
        self.say = say
        #: What became of the trials that this worker ran.
        self.ended: list[Ended] = []
        #: Whether ``max_failure_rate`` ended the search.
        self.given_up = False
        self._open: dict[int, tuple[Trial, Cell]] = {}

    def cells_to_run(self) -> Iterator[Cell]:
        """The next trial's cell whenever it is advanced, to the study's last trial."""
        while not self.given_up and (chosen := self._patiently(self._choose)) is not None:
            trial, overrides = chosen
            cell = self.cells.cell(trial.number, overrides)
            self._open[trial.number] = trial, cell
            if cell.error is not None:
                self.say(f"trial {trial.number} refused: {cell.label}: {cell.error}")
                self.told(Ended(cell, None, AsdError(cell.error)))
                continue
            yield dataclasses.replace(cell, overrides=(*cell.overrides, *self._handle(trial)))

    def told(self, ended: Ended) -> None:
        """Tell the study what became of a trial."""
        trial, cell = self._open[ended.cell.number]
        ended = dataclasses.replace(ended, cell=cell)  # whose command is a user's
        error, values = ended.error, _values(ended.value)
        if error is None and (values is None or not all(map(math.isfinite, values))):
            error = AsdError(f"the objective is {ended.value}, which is no number to compare")
            ended = dataclasses.replace(ended, error=error)
        self._patiently(lambda: self._tell(trial, cell, error, values))
        del self._open[trial.number]
        self.ended.append(ended)
        failed = len(self.failed)
        rate = failed / len(self.ended)
        if len(self.ended) >= self.options.failure_grace and rate > self.options.max_failure_rate:
            if not self.given_up:
                self.say(
                    f"{failed} of {len(self.ended)} trials failed, more than "
                    f"hydra.sweeper.max_failure_rate={self.options.max_failure_rate} allows; no "
                    "more are begun"
                )
            self.given_up = True

    @property
    def failed(self) -> list[Ended]:
        """Those that did; a pruned trial is none of them."""
        return [e for e in self.ended if e.error is not None and not isinstance(e.error, Pruned)]

    def release(self) -> None:
        """Let others, or a later start, take up what this worker leaves unfinished."""
        for trial, _ in self._open.values():
            try:
                trial.set_user_attr("worker", None)
            except storage_errors():  # then our death says it
                log.debug("a claim stays", exc_info=True)

    def _choose(self) -> tuple[Trial, tuple[str, ...]] | None:
        """An orphan, or the next new trial; None if the study has as many as it is to have."""
        from optuna.trial import Trial, TrialState

        with exclusively(self.url), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that samplers are experimental
            there = self.study.get_trials(deepcopy=False)
            for frozen in there:
                running = frozen.state == TrialState.RUNNING
                if running and frozen.number not in self._open and self.worker.is_orphan(frozen):
                    trial = Trial(self.study, frozen._trial_id)
                    self.say(f"trial {trial.number} was left unfinished; it goes on")
                    break
            else:
                waiting = any(t.state == TrialState.WAITING for t in there)
                if len(there) >= self.options.n_trials and not waiting:
                    return None
                self.study.sampler = build_sampler(self.options.sampler, len(there))
                trial = self.study.ask()
            self.worker.claim(trial)
            try:
                return trial, self.space.suggest(self.cells.master, trial)
            except ValueError as error:  # of a sampler that cannot sample this space
                raise AsdError(f"hydra.sweeper.sampler: {error}") from error

    def _tell(
        self, trial: Trial, cell: Cell, error: BaseException | None, values: list[float] | None
    ) -> None:
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        state = TrialState.COMPLETE
        if error is not None:
            state = TrialState.PRUNED if isinstance(error, Pruned) else TrialState.FAIL
            values = None
        with warnings.catch_warnings(), contextlib.suppress(UpdateFinishedTrialError):
            warnings.simplefilter("ignore")
            if cell.folder is not None:
                trial.set_user_attr("run", cell.folder.path.name)
            if state == TrialState.FAIL:
                trial.set_user_attr("error", str(error))
            self.study.tell(trial, values, state, skip_if_finished=True)

    def _handle(self, trial: Trial) -> list[str]:
        """Overrides by which the run finds its trial, to report to."""
        return [
            f"search.storage={quoted(self.url)}",
            f"search.study={quoted(self.study.study_name)}",
            f"search.trial={trial.number}",
            f"search.pruner={quoted(self.options.pruner)}",
            # Two trials with the same values are one run: the second waits for the first.
            "if_running=wait",
        ]

    def _patiently(self, do: Callable[[], T]) -> T:
        """Do it, again and again while the storage is away."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return do()
            except storage_errors() as error:
                if attempt == _ATTEMPTS:
                    raise unusable(self.url, error) from error
                if attempt == 1:
                    self.say(f"{unusable(self.url, error)}; trying again")
                time.sleep(_PAUSE)
        raise AssertionError


def _values(value: Any) -> list[float] | None:
    listed = value if isinstance(value, list) else [value]
    try:
        return [float(v) for v in listed]
    except (TypeError, ValueError):
        return None
