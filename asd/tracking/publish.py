"""Completing an MLflow run from its run folder: a pure function of the files, safe to repeat."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asd.experiment.run_folder import RunFolder

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Metrics that MLflow accepts in one request, and characters of a description.
_BATCH = 500
_LONGEST_NOTE = 7900


def epoch_metrics(
    group: str, epoch: int, values: dict[str, float], when: int | None = None
) -> list[Any]:
    """An epoch's values as MLflow metrics: ``train/loss``, or ``train/loss/fan`` of one machine.

    The machine comes last, for MLflow groups charts by what comes before the last slash.

    Args:
        group: ``shared``, or the machine type whose model it is.
        epoch: from 0.
        values: by name.
        when: milliseconds since 1970; None: now.
    """
    from mlflow.entities import Metric

    when = int(time.time() * 1000) if when is None else when
    suffix = "" if group == "shared" else f"/{group}"
    return [Metric(name + suffix, value, when, epoch) for name, value in values.items()]


def publish(client: MlflowClient, run_id: str, folder: RunFolder, status: str) -> None:
    """Copy to an MLflow run what its folder holds and the run does not have yet.

    Args:
        client: of the tracker.
        run_id: the run.
        folder: the files.
        status: FINISHED, FAILED or KILLED.

    Raises:
        MlflowException, OSError: the tracker cannot be reached.
    """
    for model in folder.models():
        _missing_epochs(client, run_id, model)
    _results(client, run_id, folder)
    _files(client, run_id, folder)
    client.set_terminated(run_id, status, folder.record().get("ended"))


def _missing_epochs(client: MlflowClient, run_id: str, model: Path) -> None:
    """Epochs that a tracker in trouble did not get, at the times when they ended."""
    from asd.experiment.history import read_history

    path = model / "history.csv"
    rows = read_history(path)
    if not rows:
        return
    name = epoch_metrics(model.name, 0, {"val/loss": 0.0})[0].key
    there = {metric.step for metric in client.get_metric_history(run_id, name)}
    ended = path.stat().st_mtime
    entries: list[Any] = []
    for row in reversed(rows):
        epoch = int(row["epoch"])
        values = {name: value for name, value in row.items() if name != "epoch"}
        if epoch not in there:
            entries = epoch_metrics(model.name, epoch, values, int(ended * 1000)) + entries
        ended -= row.get("epoch_seconds", 0.0)
    _log(client, run_id, entries)


def _results(client: MlflowClient, run_id: str, folder: RunFolder) -> None:
    from mlflow.entities import Metric, RunTag

    from asd.scoring.clip_scores import read_scores
    from asd.scoring.metrics import evaluate_scores, flat_metrics
    from asd.scoring.tables import markdown

    record = folder.record()
    values = dict(record.get("resources", {}))
    if folder.scores.exists():
        metrics = evaluate_scores(read_scores(folder.scores), record["max_fpr"])
        values = {**flat_metrics(metrics), **values}
        note = markdown(metrics, record["title"], record["data_label"])
        client.log_batch(run_id, tags=[RunTag("mlflow.note.content", note[:_LONGEST_NOTE])])
    there = client.get_run(run_id).data.metrics
    now = int(time.time() * 1000)
    new = [Metric(name, v, now, 0) for name, v in values.items() if there.get(name) != v]
    _log(client, run_id, new)


def _log(client: MlflowClient, run_id: str, entries: list[Any]) -> None:
    for at in range(0, len(entries), _BATCH):
        client.log_batch(run_id, metrics=entries[at : at + _BATCH])


def _files(client: MlflowClient, run_id: str, folder: RunFolder) -> None:
    path = folder.path
    for file in (
        folder.config, path / "environment.json", path / "run.json", folder.scores, folder.log_file
    ):  # fmt: skip
        if file.exists():
            client.log_artifact(run_id, str(file))
    for part in (folder.tables, path / "pictures"):
        if part.is_dir():
            client.log_artifacts(run_id, str(part), part.name)
    for model in folder.models():
        for name in ("model.ckpt", "history.csv", "validation.csv"):
            if (model / name).exists():
                client.log_artifact(run_id, str(model / name), f"models/{model.name}")
