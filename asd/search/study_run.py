"""One MLflow run a study, with its table and plots; each trial has a run of its own beside it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asd.search.summary import best_trials, counts
from asd.tracking.mlflow_store import Tracking, connect, reason

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from optuna.study import Study

log = logging.getLogger(__name__)

# The study's user attribute that remembers its MLflow run.
_RUN = "mlflow"


def publish_study(
    study: Study, folder: Path, tracking: Tracking, tags: dict[str, str], command: str
) -> str | None:
    """Bring the study's MLflow run up to date, making it where it is not there yet.

    Args:
        study: the study.
        folder: its files.
        tracking: where to.
        tags: of the run.
        command: that goes on with the search.

    Returns:
        The run's id; None if tracking is off or does not answer, which is said and no error.
    """
    if not tracking.enabled:
        return None
    from mlflow.exceptions import MlflowException

    from asd.errors import AsdError

    try:
        client, experiment = connect(tracking)
        run_id = _run(study, client, experiment, tracking.uri, tags)
        _write(study, client, run_id, folder, command)
    except (AsdError, MlflowException, OSError) as error:
        log.warning("MLflow has no run of this study: %s; %s has all", reason(error), folder)
        return None
    return run_id


def _run(
    study: Study, client: MlflowClient, experiment: str, uri: str, tags: dict[str, str]
) -> str:
    from mlflow.exceptions import MlflowException

    known = study.user_attrs.get(_RUN, {})
    if known.get("uri") == uri:
        try:
            if client.get_run(known["run_id"]).info.lifecycle_stage == "active":
                return str(known["run_id"])
        except MlflowException:
            log.debug("the study's run is gone; another is made", exc_info=True)
    run = client.create_run(experiment, tags=tags, run_name=f"search {study.study_name}")
    study.set_user_attr(_RUN, {"uri": uri, "run_id": run.info.run_id})
    return str(run.info.run_id)


def _write(study: Study, client: MlflowClient, run_id: str, folder: Path, command: str) -> None:
    from mlflow.entities import Metric, RunTag

    values: dict[str, float] = {f"trials/{name}": n for name, n in counts(study).items()}
    best = best_trials(study)
    if len(study.directions) == 1 and best:
        values[f"best/{study.user_attrs['objectives'][0]}"] = best[0].values[0]
        values["best/trial"] = best[0].number
    entries = [Metric(name, float(value), 0, 0) for name, value in values.items()]
    said: dict[str, Any] = {f"best {k}": v for t in best[:1] for k, v in t.params.items()}
    labels = [RunTag("mlflow.source.name", command)]
    labels += [RunTag(name, str(value)) for name, value in said.items()]
    client.log_batch(run_id, metrics=entries, tags=labels)
    client.log_artifacts(run_id, str(folder))
    client.set_terminated(run_id)
