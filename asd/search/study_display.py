"""What a study shows: its trials as they begin and end, whoever runs them, and its best ones."""

from __future__ import annotations

import shlex
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from asd.composition import command_of
from asd.errors import AsdError
from asd.experiment.run_folder import RunFolder
from asd.search.study import Search, best_trials, counts
from asd.sweeps.cells import Cell
from asd.sweeps.display import Display
from asd.sweeps.outcomes import Outcome, RunFailedError, short

# Of several objectives' best trials, how many are printed; trials.csv has all.
_PRINTED = 5


class StudyDisplay:
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
        #: What the last look has shown: whether some run, wait, or have not ended.
        self.running = self.waiting = self.left = False
        trials = study.get_trials(deepcopy=False)
        self._ended = {trial.number for trial in trials if trial.state.is_finished()}

    def look(self) -> bool:
        """Show what has changed; return whether trials are left that have not ended."""
        trials = self.study.get_trials(deepcopy=False)
        states = {trial.state for trial in trials}
        self.running, self.waiting = TrialState.RUNNING in states, TrialState.WAITING in states
        for trial in trials:
            cell = self._cell(trial)
            if trial.state == TrialState.RUNNING and cell.folder is not None:
                self.display.started(cell)
            elif trial.state.is_finished() and trial.number not in self._ended:
                self._ended.add(trial.number)
                self._end(trial, cell)
            elif trial.state == TrialState.WAITING:
                self.display.stopped(cell)
        self.left = self.search.options.n_trials > len(self._ended)
        return self.left

    def _cell(self, trial: FrozenTrial) -> Cell:
        """A trial as a cell of the sweep."""
        overrides = self.search.space.overrides(trial.params)
        label = f"trial {trial.number}: {described(trial.params)}"
        run, models = (trial.user_attrs.get(name) for name in ("run", "models"))
        folder = RunFolder(self.search.runs / run) if run else None
        epochs = self.search.config["trainer"]["max_epochs"]
        return Cell(trial.number, overrides, label, folder, models or 1, epochs)

    def _end(self, trial: FrozenTrial, cell: Cell) -> None:
        if trial.state == TrialState.FAIL:
            kind = AsdError if trial.user_attrs.get("refused") else RunFailedError
            error = kind(trial.user_attrs.get("error", "the study does not say why"))
            self.failed.append(Outcome(cell, None, error))
            self.display.ended(cell, error, f"FAILED: {error}")
        elif trial.state == TrialState.PRUNED:
            self.display.ended(cell, None, f"pruned after epoch {(trial.last_step or 0) + 1}")
        else:  # not its AUC, which a search is not to look at
            self.display.ended(cell, None, f"finished, {values_of(self.search, trial)}")


def described(params: dict[str, Any]) -> str:
    """Options and their values, in few digits: ``trainer.learning_rate=0.00123``."""
    return " ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in params.items()
    )


def values_of(search: Search, trial: FrozenTrial) -> str:
    """A trial's objectives: ``validation_loss 0.8312``."""
    pairs = zip(search.objectives, trial.values, strict=True)
    return ", ".join(f"{name} {value:.5g}" for name, value in pairs)


def lines(search: Search, study: Study) -> list[str]:
    """What to print: counts, the best trials and how to run them again, and where to look."""
    states = ", ".join(f"{n} {name}" for name, n in counts(study).items() if n and name != "ended")
    result = [f"study {search.name}: {states}", *search.warnings]
    best = best_trials(study)
    for trial in best[:_PRINTED]:
        values = values_of(search, trial)
        result.append(f"best: trial {trial.number}, {values}: {described(trial.params)}")
        overrides = search.space.overrides(trial.params)
        again = [o for o in overrides if not o.startswith(("search.", "sweep."))]
        result.append(f"  run again: {command_of(again)}")
    if len(best) > _PRINTED:
        result.append(f"  and {len(best) - _PRINTED} more that none beats in all: trials.csv")
    result.append(f"table and plots: {short(search.folder)}")
    result.append(f"look at it: {shlex.join(['optuna-dashboard', search.url])}")
    return result
