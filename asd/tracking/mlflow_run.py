"""The MLflow run of a run folder: a copy of its files, made from them alone and safe to repeat.

``run.json`` remembers it: ``mlflow`` (the tracker's ``uri``, ``run_id``, and the ``tags`` that it
was given) and ``published`` (whether it has all).
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from asd.experiment.history import read_history
from asd.experiment.run_folder import FINISHED, RunFolder
from asd.tracking.mlflow_store import check_place

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

log = logging.getLogger(__name__)

# What MLflow answers for a run that it never had, or that was deleted.
_GONE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "INVALID_STATE")
# What is copied of a run's folder.
_FILES = (
    "config.yaml", "environment.json", "run.json", "scores.csv", "train.log", "tables/*",
    "pictures/*", "models/*/model.ckpt", "models/*/history.csv", "models/*/validation.csv",
    "models/*/calibration.csv",
)  # fmt: skip


def is_published(record: Mapping[str, Any]) -> bool:
    """Whether, as far as ``run.json`` knows, MLflow has all that the folder holds."""
    tags = record.get("mlflow", {}).get("tags")
    return bool(record.get("published")) and tags == record.get("tags", {})


def known_run(client: MlflowClient, uri: str, record: Mapping[str, Any]) -> Run | None:
    """The run that ``run.json`` remembers; None if this tracker never had it, or no longer has."""
    from mlflow.exceptions import MlflowException

    known = record.get("mlflow", {})
    if known.get("uri") != uri:
        return None
    try:
        run = client.get_run(known["run_id"])
    except MlflowException as error:
        if error.error_code in _GONE:
            return None
        raise
    return run if run.info.lifecycle_stage == "active" else None


def open_run(client: MlflowClient, experiment: str, uri: str, folder: RunFolder) -> str:
    """The id of the run that the folder remembers, now RUNNING again; a new one's if there is none.

    Name, tags, params and datasets are those of ``run.json``. Client and experiment are those of
    ``asd.tracking.mlflow_store.connect``.
    """
    record = folder.record()
    run, known = known_run(client, uri, record), record.get("mlflow", {})
    if run is None:
        # Or the one that a process made that was killed before it could note its id.
        token = record.get("mlflow_token") or uuid4().hex
        folder.update(mlflow_token=token)
        run = _found_or_made(client, experiment, record, "token", token=token)
        known = {"uri": uri, "run_id": run.info.run_id}
    check_place(uri, run.info.artifact_uri)
    folder.update(mlflow=known, mlflow_token=None, published=False)
    run_id = str(run.info.run_id)
    client.update_run(run_id, status="RUNNING")
    _describe(client, run, record, known.get("tags", {}))
    folder.update(mlflow={**known, "tags": record.get("tags", {})})
    return run_id


def _found_or_made(
    client: MlflowClient, experiment: str, record: Mapping[str, Any], key: str, **own: Any
) -> Run:
    """The experiment's run that has the tag ``key`` of its ``own`` ones, or a new one with all."""
    found = client.search_runs([experiment], f"tags.{key} = '{own[key]}'", max_results=1)
    tags, ended = {**record.get("tags", {}), **own}, record.get("ended")
    began = ended and int(ended - 1000 * record.get("wall_seconds", 0.0))
    name = record.get("run_name")
    return found[0] if found else client.create_run(experiment, began, tags, name)


def _describe(
    client: MlflowClient, run: Run, record: Mapping[str, Any], earlier_tags: Mapping[str, Any]
) -> None:
    """Log the tags, options and data that the record names.

    Options and data that the run has stay. Of its tags those go that only an earlier record had;
    what users set in MLflow stays.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag, Param, RunTag
    from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

    run_id, tags = run.info.run_id, record.get("tags", {})
    params = [
        Param(name, value if isinstance(value, str) else json.dumps(value))
        for name, value in record.get("params", {}).items()
        if name not in run.data.params
    ]
    labels = [RunTag(name, str(value)) for name, value in tags.items()]
    client.log_batch(run_id, params=params, tags=labels)
    for name in (set(earlier_tags) - set(tags)) & set(run.data.tags):
        client.delete_tag(run_id, name)
    inputs = []
    for data in record.get("datasets", []):  # of asd.experiment.record.describe
        source, profile = json.dumps(data["source"]), json.dumps(data["profile"])
        dataset = Dataset(data["name"], data["digest"], "corpus", source, profile=profile)
        inputs.append(DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, data["context"])]))
    if inputs and not (run.inputs and run.inputs.dataset_inputs):
        client.log_inputs(run_id, inputs)


def open_copy(
    client: MlflowClient, experiment: str, uri: str, folder: RunFolder, params: dict[str, Any]
) -> str:
    """A run, with these params too, of a folder whose own run may be in another experiment.

    Gives the id of a copy to ``publish``; none if the experiment has the run, or a whole copy.
    """
    record = folder.record()
    own = {"identity": record.get("identity"), "copy_of": record["mlflow"]["run_id"]}
    run = _found_or_made(client, experiment, record, "identity", **own)
    check_place(uri, run.info.artifact_uri)
    _describe(client, run, {**record, "params": {**record.get("params", {}), **params}}, {})
    return "" if run.info.status == FINISHED else str(run.info.run_id)


def publish(client: MlflowClient, folder: RunFolder, copy: str = "") -> None:
    """Copy to the run of ``open_run`` what it does not have yet, close it, and note that.

    A ``copy``, of ``open_copy``, gets all but the weights, and ``run.json`` says nothing of it.
    """
    from mlflow.entities import Metric

    from asd.documents.rendering import markdown
    from asd.scoring.clip_scores import read_scores
    from asd.scoring.metrics import evaluate_scores, flat_metrics
    from asd.scoring.tables import document, remarks

    record = folder.record()
    run_id, values = copy or record["mlflow"]["run_id"], dict(record.get("resources", {}))
    for model, told in record.get("convergence", {}).items():
        values["best_epoch" if model == "shared" else f"best_epoch/{model}"] = told["best_epoch"]
    if folder.scores.exists():
        metrics = evaluate_scores(read_scores(folder.scores), record["max_fpr"])
        values |= flat_metrics(metrics)
        note = markdown(document(metrics, record["title"], **remarks(record, folder.path)))
        client.set_tag(run_id, "mlflow.note.content", note)
    for model in folder.models():
        log_epochs(client, run_id, model)
    # Again with the same time, MLflow keeps them once. Four digits, as tables have: files have all.
    ended = record.get("ended") or int(time.time() * 1000)
    results = [Metric(name, round(value, 4), ended, 0) for name, value in values.items()]
    client.log_batch(run_id, metrics=results)
    root = folder.path.resolve()
    for file in (file for pattern in _FILES for file in sorted(root.glob(pattern))):
        if copy and file.suffix == ".ckpt":
            continue
        if file.resolve() != file or not file.is_file():
            log.warning("not copied to MLflow, for it is a link, or no file: %s", file)
            continue
        place = file.parent.relative_to(root).as_posix()
        client.log_artifact(run_id, str(file), None if place == "." else place)
    client.set_terminated(run_id, record["status"], ended)
    if not copy:
        folder.update(published=True)


def log_epochs(client: MlflowClient, run_id: str, model: Path) -> None:
    """Log the epochs of a model's ``history.csv`` that the run lacks, at the times when they ended.

    Of the model of one machine ``train/loss/fan``: MLflow groups charts by all but the last part.
    """
    from mlflow.entities import Metric

    path, metrics = model / "history.csv", []
    end = "" if model.name == "shared" else f"/{model.name}"
    logged = {metric.step for metric in client.get_metric_history(run_id, f"val/loss{end}")}
    ended = path.stat().st_mtime if path.exists() else 0.0
    for row in reversed(read_history(path)):
        at, epoch = int(ended * 1000), int(row.pop("epoch"))
        if epoch not in logged:
            metrics += [Metric(name + end, value, at, epoch) for name, value in row.items()]
        ended -= row.get("epoch_seconds", 0.0)
    client.log_batch(run_id, metrics=metrics)
