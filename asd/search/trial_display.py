"""The trials of a study as they begin and end, whichever worker runs them."""

from __future__ import annotations

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from asd.errors import AsdError
from asd.experiment.run_folder import RunFolder
from asd.search.conclusion import described, values_of
from asd.search.storage import patiently
from asd.search.study import Search
from asd.sweeps.cells import Cell
from asd.sweeps.display import Display
from asd.sweeps.outcomes import Outcome, RunFailedError


class TrialDisplay:
    """Tells a sweep's display what the study says.

    Args:
        search: what is searched.
        study: its study.
        display: of the sweep.
    """

    def __init__(self, search: Search, study: Study, display: Display) -> None:
        self.search = search
        self.study = study
        self.display = display
        #: Trials that failed since this start.
        self.failed: list[Outcome] = []
        #: Whether any is running.
        self.running = False
        self._started: set[int] = set()
        trials = study.get_trials(deepcopy=False)
        self._ended = {trial.number for trial in trials if trial.state.is_finished()}

    def look(self) -> bool:
        """Show what has changed; return whether trials are left to be run."""
        trials, given_up = patiently(self.search.url, self._read)
        self.running = any(trial.state == TrialState.RUNNING for trial in trials)
        for trial in trials:
            if trial.number in self._ended or trial.state == TrialState.WAITING:
                continue
            cell = self.cell(trial)
            if trial.number not in self._started:
                self._started.add(trial.number)
                self.display.started(cell)
            if trial.state.is_finished():
                self._ended.add(trial.number)
                self._end(trial, cell)
        return self.search.options.n_trials > len(self._ended) and not given_up

    def _read(self) -> tuple[list[FrozenTrial], bool]:
        too_many_failed = self.search.too_many_failed(self.study)
        return self.study.get_trials(deepcopy=False), too_many_failed

    def cell(self, trial: FrozenTrial) -> Cell:
        """A trial as a cell of the sweep."""
        overrides = self.search.space.overrides(trial.params)
        label = f"trial {trial.number}: " + described(trial.params)
        folder, about = None, trial.user_attrs
        if "run" in about:
            folder = RunFolder(self.search.runs / about["run"])
        epochs = self.search.config["trainer"]["max_epochs"]
        return Cell(trial.number, overrides, label, folder, about.get("models", 1), epochs)

    def _end(self, trial: FrozenTrial, cell: Cell) -> None:
        if trial.state == TrialState.FAIL:
            kind = AsdError if trial.user_attrs.get("refused") else RunFailedError
            error = kind(trial.user_attrs.get("error", "the study does not say why"))
            self.failed.append(Outcome(cell, None, error))
            self.display.ended(cell, error, f"FAILED: {error}")
        elif trial.state == TrialState.PRUNED:
            self.display.ended(cell, None, f"pruned after epoch {(trial.last_step or 0) + 1}")
        else:  # not its AUC, which a search is not to look at
            values = values_of(trial, self.search.objectives)
            self.display.ended(cell, None, f"finished, {values}")
