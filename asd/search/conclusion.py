"""What a study has shown: in words, as a table, and as an MLflow run beside those of its trials."""

from __future__ import annotations

import logging
import re
import shlex
from pathlib import Path
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from asd.composition import command_of
from asd.errors import AsdError
from asd.files import write_text
from asd.search.objectives import TEST
from asd.search.study import Search, counts
from asd.sweeps.outcomes import short, sweep_command
from asd.tracking.mlflow_store import Tracking, connect, reason

log = logging.getLogger(__name__)

# Of several objectives' best trials, how many are printed; trials.csv has all.
_PRINTED = 5


def best_trials(study: Study) -> list[FrozenTrial]:
    """The best one; of several objectives those that no other beats in all; none at first."""
    if len(study.directions) > 1:
        return sorted(study.best_trials, key=lambda trial: trial.values)
    return [study.best_trial] if counts(study)["complete"] else []


def values_of(trial: FrozenTrial, objectives: list[str]) -> str:
    """A trial's objectives: ``validation_loss 0.8312``."""
    pairs = zip(objectives, trial.values or [], strict=False)
    return ", ".join(f"{name} {value:.5g}" for name, value in pairs)


def described(params: dict[str, Any]) -> str:
    """Options and their values, in few digits: ``trainer.learning_rate=0.00123``."""
    return " ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in params.items()
    )


def test_warning(objectives: list[str]) -> str:
    """Said of a search that looks at test clips."""
    return (
        f"*** SELECTED ON TEST CLIPS ({', '.join(objectives)}): the best trial's test figures are "
        "too good; they are no estimate of how it does on new recordings ***"
    )


def lines(search: Search, study: Study) -> list[str]:
    """What to print: counts, the best trials and how to run them again, and where to look."""
    states = ", ".join(f"{n} {name}" for name, n in counts(study).items() if n and name != "ended")
    result = [f"study {study.study_name}: {states}"]
    if study.user_attrs["selected_on"] == TEST:
        result.append(test_warning(search.objectives))
    best = best_trials(study)
    for trial in best[:_PRINTED]:
        values = values_of(trial, search.objectives)
        result.append(f"best: trial {trial.number}, {values}: {described(trial.params)}")
        overrides = search.space.overrides(trial.params)
        again = [o for o in overrides if not o.startswith(("search.", "sweep."))]
        result.append(f"  run again: {command_of(again)}")
    if len(best) > _PRINTED:
        result.append(f"  and {len(best) - _PRINTED} more that none beats in all: trials.csv")
    result.append(f"table and plots: {short(search.folder)}")
    result.append(f"look at it: {shlex.join(['optuna-dashboard', search.url])}")
    return result


def write_table(study: Study, path: Path) -> None:
    """The trials that have begun as CSV: number, state, objectives, options, run, error, seconds.

    Raises:
        AsdError: it cannot be written.
    """
    attributes = ("number", "state", "values", "params", "user_attrs", "duration")
    table = study.trials_dataframe(attributes)
    table = table[table["state"] != TrialState.WAITING.name] if len(table) else table
    ours = [f"user_attrs_{name}" for name in ("models", "refused")]
    table = table.drop(columns=ours, errors="ignore")
    columns = {c: re.sub("^(values|params|user_attrs)_", "", c) for c in table.columns}
    write_text(path, table.rename(columns={**columns, "number": "trial"}).to_csv(index=False))


def publish(search: Search, study: Study) -> None:
    """Bring the study's MLflow run up to date; one that does not answer is said, and no error."""
    tracking = Tracking.of(search.config["tracking"])
    if not tracking.enabled:
        return
    from mlflow.entities import Metric, RunTag
    from mlflow.exceptions import MlflowException

    name = study.study_name
    tags = {
        "kind": "search",
        "study": name,
        "selected_on": study.user_attrs["selected_on"],
        "data_label": study.user_attrs["data"],
        "mlflow.source.name": sweep_command(),
    }
    values: dict[str, float] = {f"trials/{state}": n for state, n in counts(study).items()}
    for trial in best_trials(study)[:1]:
        tags |= {f"best {option}": str(value) for option, value in trial.params.items()}
        if len(trial.values) == 1:
            values |= {f"best/{search.objectives[0]}": trial.values[0], "best/trial": trial.number}
    try:
        client, experiment = connect(tracking)
        query = f"tags.kind = 'search' and tags.study = '{name}'"
        known = client.search_runs([experiment], query, max_results=1)
        run = known[0] if known else client.create_run(experiment, run_name=f"search {name}")
        client.log_batch(
            run.info.run_id,
            metrics=[Metric(key, float(value), 0, 0) for key, value in values.items()],
            tags=[RunTag(key, value) for key, value in tags.items()],
        )
        client.log_artifacts(run.info.run_id, str(search.folder))
        client.set_terminated(run.info.run_id)
    except (AsdError, MlflowException, OSError) as error:
        log.warning("MLflow has no run of this study: %s; %s has all", reason(error), search.folder)
