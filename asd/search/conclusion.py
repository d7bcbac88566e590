"""What a study has found: lines, a table, plots, an MLflow run beside its trials'."""

from __future__ import annotations

import itertools
import logging
import re
import shlex
from functools import partial

from optuna.importance import get_param_importances
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from asd.composition import command_of
from asd.documents.rendering import harmless
from asd.errors import AsdError
from asd.files import write_text
from asd.pictures.grid_pictures import trade_off
from asd.pictures.study_pictures import study_picture
from asd.search.objectives import ON_TEST, TEST, selected_on
from asd.search.study import Search, counts
from asd.search.trials import described
from asd.sweeps.sweep_status import short, sweep_command
from asd.tracking.mlflow_store import Tracking, answering, check_place, connect

log = logging.getLogger(__name__)

# Of several objectives' best trials, how many are printed; trials.csv has all.
_PRINTED = 5


def lines(search: Search, study: Study) -> list[str]:
    """What to print: counts, the best trials and how to run them again, and where to look."""
    states = ", ".join(f"{n} {name}" for name, n in counts(study).items() if n)
    result = [f"study {search.name}: {states}", *search.warnings]
    # Of several objectives, those that no other beats in all.
    best = sorted(study.best_trials, key=lambda trial: trial.values)
    for trial in best[:_PRINTED]:
        values = search.values_of(trial)
        result.append(f"best: trial {trial.number}, {values}: {described(trial.params)}")
        overrides = search.space.overrides(trial.params)
        again = [o for o in overrides if not o.startswith(("search.", "sweep."))]
        result.append(f"  run again: {command_of(again)}")
    if len(best) > _PRINTED:
        result.append(f"  and {len(best) - _PRINTED} more that none beats in all: trials.csv")
    result.append(f"table and plots: {short(search.folder)}")
    runs = shlex.quote(f"runs={search.runs}") + " " if str(search.runs) != "runs" else ""
    result.append(f"report: python -m asd.report {runs}study={search.name}")
    result.append(f"look at it: {shlex.join(['optuna-dashboard', search.url])}")
    return result


def write_table(search: Search, study: Study) -> None:
    """``trials.csv``, those that have begun: number, state, objectives, options, run, error, time.

    Raises:
        AsdError: it cannot be written.
    """
    attributes = ("number", "state", "values", "params", "user_attrs", "duration")
    table = study.trials_dataframe(attributes)
    table = table[table["state"] != TrialState.WAITING.name]
    columns = {c: re.sub("^(values|params|user_attrs)_", "", c) for c in table.columns}
    table = table.rename(columns={**columns, "number": "trial"})
    text = harmless(table).to_csv(index=False, float_format="%.6g")
    write_text(search.folder / "trials.csv", text)


def draw(search: Search, study: Study) -> list[str]:
    """Draw what can be drawn; a line for each plot that cannot be yet."""
    if not counts(study)["complete"]:
        return ["plots not drawn: no trial has completed"]
    title = f"{search.name}\n{search.data_label}"
    if selected_on(search.objectives) == TEST:
        title += ", SELECTED ON TEST CLIPS"
    done = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    shared = [name for name in done[0].params if all(name in t.params for t in done)]
    options = {name: [trial.params[name] for trial in done] for name in shared}
    skipped, objectives, folder = [], search.objectives, search.folder
    try:
        for i, name in enumerate(objectives):
            try:
                shares = get_param_importances(study, target=partial(_objective, number=i))
            except (ValueError, RuntimeError) as error:
                shares = {}
                skipped.append(f"importances not drawn: {str(error).splitlines()[0]}")
            several = len(objectives) > 1
            known = [] if several else [t for t in study.trials if t.intermediate_values]
            told = {trial.number: trial.intermediate_values for trial in known}
            values = {trial.number: trial.values[i] for trial in done}
            path = folder / (f"search_{name}.png" if several else "search.png")
            study_picture(values, options, shares, told, name, name not in ON_TEST, title, path)
        best = {trial.number for trial in study.best_trials}
        for a, b in itertools.combinations(range(len(objectives)), 2):
            points = {f"{t.number}": (t.values[a], t.values[b], t.number in best) for t in done}
            names = objectives[a], objectives[b]
            trade_off(points, names, title, folder / f"pareto_front_{'_'.join(names)}.png")
    except OSError as error:
        raise AsdError(f"{folder}: {error.strerror}") from error
    return skipped


def _objective(trial: FrozenTrial, number: int) -> float:
    return float(trial.values[number])


def publish(search: Search, study: Study) -> None:
    """Bring the study's MLflow run up to date; one that does not answer is said, and no error."""
    tracking = Tracking.of(search.config["tracking"], search.tracking_name)
    if not tracking.enabled:
        return
    tags = {
        "kind": "search",
        "study": search.name,
        "selected_on": selected_on(search.objectives),
        "data_label": search.data_label,
        "mlflow.source.name": sweep_command(),
    }
    values: dict[str, float] = {f"trials/{state}": n for state, n in counts(study).items()}
    for trial in study.best_trials[:1] if len(search.objectives) == 1 else []:
        tags |= {f"best {option}": str(value) for option, value in trial.params.items()}
        values |= {f"best/{search.objectives[0]}": trial.values[0], "best/trial": trial.number}
    try:
        client, experiment = connect(tracking)
        with answering(tracking):
            query = f"tags.kind = 'search' and tags.study = '{search.name}'"
            known = client.search_runs([experiment], query, max_results=1)
            name = f"search {search.name}"
            run = known[0] if known else client.create_run(experiment, run_name=name)
            check_place(tracking.uri, run.info.artifact_uri)
            for name, value in values.items():
                client.log_metric(run.info.run_id, name, value)
            for name, text in tags.items():
                client.set_tag(run.info.run_id, name, text)
            client.log_artifacts(run.info.run_id, str(search.folder))
            client.set_terminated(run.info.run_id)
    except AsdError as error:
        log.warning("MLflow has no run of this study: %s; %s has all", error, search.folder)
