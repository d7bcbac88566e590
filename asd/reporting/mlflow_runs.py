"""Finished runs from MLflow: their scores and configs are copied to a folder and read there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from asd.errors import AsdError
from asd.experiment.run_folder import FINISHED, RunFolder
from asd.options import check_no_secret
from asd.reporting.runs import Collection, collect
from asd.tracking.mlflow_store import Tracking, answering, check_place
from asd.tracking.time_limit import LimitedClient

_FILES = ("scores.csv", "config.yaml", "run.json")


def collect_mlflow(uri: str, experiments: list[str], copies: Path) -> Collection:
    """The finished runs of some experiments, oldest first.

    Args:
        uri: of the tracker.
        experiments: their names there; those that are not there are among what is not used.
        copies: folder for the runs' files, one folder a run; what is there already is kept.

    Raises:
        AsdError: the tracker cannot be reached, or has none of the experiments.
    """
    check_no_secret("--tracking-uri", uri)
    tracking = Tracking.configured(uri)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", str(tracking.retries))
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(tracking.timeout))
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from mlflow import MlflowClient

    folders: list[Path] = []
    with answering(tracking):
        client: Any = LimitedClient(MlflowClient(uri), tracking.limit)
        asked = {name: client.get_experiment_by_name(name) for name in experiments}
        notes = [f"no experiment {name}" for name, one in asked.items() if one is None]
        if len(notes) == len(asked):
            known = ", ".join(one.name for one in client.search_experiments())
            raise AsdError(f"{uri}: {' and '.join(notes)}; there are {known}")
        ids = [one.experiment_id for one in asked.values() if one is not None]
        token: str | None = ""
        while token is not None:
            query = "attributes.status = 'FINISHED'"
            page = client.search_runs(ids, query, page_token=token or None)
            token = page.token or None
            for run in page:
                try:
                    folders.append(_copy(client, uri, run, copies / run.info.run_id))
                except AsdError as error:
                    notes.append(f"MLflow run {run.info.run_name}, {run.info.run_id} ({error})")
    collection = collect(folders)
    return Collection(collection.runs, [*notes, *collection.notes])


def _copy(client: Any, uri: str, run: Any, folder: Path) -> Path:
    """Copy a run's files, with the tags that it has in MLflow."""
    check_place(uri, run.info.artifact_uri)
    stored = {file.path for file in client.list_artifacts(run.info.run_id)}
    if missing := [file for file in _FILES if file not in stored]:
        raise AsdError(f"no {' and no '.join(missing)}")
    folder.mkdir(parents=True, exist_ok=True)
    for file in _FILES:
        if file == "run.json" or not (folder / file).exists():
            client.download_artifacts(run.info.run_id, file, str(folder))
    copy = RunFolder(folder)
    tags = {k: v for k, v in run.data.tags.items() if not k.startswith("mlflow.")}
    tags = {**copy.record().get("tags", {}), **tags}
    copy.update(status=FINISHED, ended=run.info.end_time, tags=tags)
    return folder
