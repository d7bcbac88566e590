"""What a study has found: lines, a table, Optuna's plots, an MLflow run beside its trials'."""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Callable
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import optuna.visualization.matplotlib as plots
from optuna.study import Study
from optuna.trial import TrialState

from asd.composition import command_of
from asd.documents.rendering import harmless
from asd.errors import AsdError
from asd.files import replacing, write_text
from asd.search.objectives import TEST, selected_on
from asd.search.study import Search, counts
from asd.search.trial_cells import described
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
    write_text(search.folder / "trials.csv", harmless(table).to_csv(index=False))


def draw(search: Search, study: Study) -> list[str]:
    """Draw what can be drawn; a line for each plot that cannot be yet."""
    if not counts(study)["complete"]:
        return ["plots not drawn: no trial has completed"]
    # Its category axes remark on every choice that is a number.
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    plt.switch_backend("Agg")
    title = f"{search.name} ({search.data_label})"
    if selected_on(search.objectives) == TEST:
        title += "\nSELECTED ON TEST CLIPS"
    skipped = []
    for name, plot in _plots(search.objectives).items():
        with plt.rc_context():  # Optuna sets a style of its own
            try:
                axes = list(np.ravel(plot(study)))
                if not any(one.has_data() for one in axes):
                    raise ValueError("too few trials")
                axes[0].figure.suptitle(f"{name}: {title}", y=1.0, va="bottom")
                with replacing(search.folder / f"{name}.png") as path:
                    axes[0].figure.savefig(path, dpi=110, format="png", bbox_inches="tight")
            except (ValueError, RuntimeError, ImportError) as error:
                skipped.append(f"plot {name} not drawn: {str(error).splitlines()[0]}")
            plt.close("all")
    return skipped


def _plots(objectives: list[str]) -> dict[str, Callable[[Study], Any]]:
    """What draws each plot, by the names of the files."""
    several = len(objectives) > 1
    # Of more than three objectives Optuna says that it cannot.
    result: dict[str, Callable[[Study], Any]] = (
        {"pareto_front": plots.plot_pareto_front}
        if several
        else {"epochs": plots.plot_intermediate_values}
    )
    for i, objective in enumerate(objectives):
        about: dict[str, Any] = {"target_name": objective}
        if several:
            about["target"] = lambda trial, i=i: trial.values[i]
        suffix = f"_{objective}" if several else ""
        result |= {
            f"history{suffix}": partial(plots.plot_optimization_history, **about),
            f"importances{suffix}": partial(plots.plot_param_importances, **about),
            f"slice{suffix}": partial(plots.plot_slice, **about),
        }
    return result


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
