"""What a study found, in words and as a table."""

from __future__ import annotations

import csv
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from asd.composition import command_of
from asd.search.objectives import TEST
from asd.search.space import Space

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

# Of several objectives' best trials, how many are printed; trials.csv has all.
_PRINTED = 5


def counts(study: Study) -> dict[str, int]:
    """Trials by state: completed, pruned, failed, running."""
    from optuna.trial import TrialState

    names = {
        TrialState.COMPLETE: "completed",
        TrialState.PRUNED: "pruned",
        TrialState.FAIL: "failed",
        TrialState.RUNNING: "running",
    }
    states = [trial.state for trial in study.get_trials(deepcopy=False)]
    return {name: states.count(state) for state, name in names.items()}


def best_trials(study: Study) -> list[FrozenTrial]:
    """The best one; of several objectives those that no other beats in all; none at first."""
    if len(study.directions) == 1 and not counts(study)["completed"]:
        return []
    if len(study.directions) == 1:
        return [study.best_trial]
    return sorted(study.best_trials, key=lambda trial: trial.values)


def values_of(trial: FrozenTrial, objectives: list[str]) -> str:
    """A trial's objectives: ``validation_loss 0.8312``."""
    pairs = zip(objectives, trial.values or [], strict=False)
    return ", ".join(f"{name} {value:.5g}" for name, value in pairs)


def lines(study: Study, space: Space) -> list[str]:
    """What to print at the end: counts, the best trials, and how to run them again."""
    objectives = list(study.user_attrs["objectives"])
    said = ", ".join(f"{n} {name}" for name, n in counts(study).items() if n)
    result = [f"study {study.study_name}: {said or 'no trials yet'}"]
    if study.user_attrs["selected_on"] == TEST:
        result.append(test_warning(objectives))
    best = best_trials(study)
    for trial in best[:_PRINTED]:
        params = " ".join(f"{name}={value}" for name, value in trial.params.items())
        result.append(f"best: trial {trial.number}, {values_of(trial, objectives)}: {params}")
        result.append(f"  run again: {_command(space, trial)}")
    if len(best) > _PRINTED:
        result.append(f"  and {len(best) - _PRINTED} more that none beats in all: trials.csv")
    return result


def _command(space: Space, trial: FrozenTrial) -> str:
    overrides = space.overrides(trial.params)
    return command_of([o for o in overrides if not o.startswith(("search.", "sweep."))])


def test_warning(objectives: list[str]) -> str:
    """Said of a search that looks at test clips."""
    return (
        f"*** SELECTED ON TEST CLIPS ({', '.join(objectives)}): the best trial's test figures are "
        "too good; they are no estimate of how it does on new recordings ***"
    )


def write_table(study: Study, path: Path) -> None:
    """All trials as CSV: number, state, objectives, options, epochs reported, run, error."""
    objectives = list(study.user_attrs["objectives"])
    trials = study.get_trials(deepcopy=False)
    params = list(dict.fromkeys(name for trial in trials for name in trial.params))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["trial", "state", *objectives, *params, "epochs", "seconds", "run", "error"]
        )
        for trial in trials:
            spent = trial.duration.total_seconds() if trial.duration else ""
            values = trial.values or []
            writer.writerow([
                trial.number,
                trial.state.name,
                *values, *[""] * (len(objectives) - len(values)),
                *(trial.params.get(name, "") for name in params),
                len(trial.intermediate_values),
                spent,
                trial.user_attrs.get("run", ""),
                trial.user_attrs.get("error", ""),
            ])  # fmt: skip
    temporary.replace(path)


def dashboard_command(url: str) -> str:
    """The line that opens Optuna Dashboard on the storage."""
    return shlex.join(["optuna-dashboard", url])
