"""Finished runs from MLflow: their scores and configs are copied to a folder and read there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from asd.errors import AsdError
from asd.experiment.run_folder import FINISHED, RunFolder
from asd.options import check_no_secret
from asd.reporting.runs import Collection, collect
from asd.tracking.mlflow_store import Tracking, check_place
from asd.tracking.time_limit import LimitedClient

_NEEDED = ("scores.csv", "config.yaml", "run.json")


def collect_mlflow(uri: str, experiments: list[str], copies: Path, pictures: bool) -> Collection:
    """The finished runs of some experiments, oldest first.

    Args:
        uri: of the tracker.
        experiments: their names there; those that are not there are among what is not used.
        copies: folder for the runs' files, one folder a run; what is there already is kept.
        pictures: whether to copy the runs' pictures too.

    Raises:
        AsdError: the tracker cannot be reached, or has none of the experiments.
    """
    check_no_secret("--tracking-uri", uri)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    wanted = {*_NEEDED, *(["pictures"] if pictures else [])}
    folders: list[Path] = []
    token: str | None = ""
    try:
        client: Any = LimitedClient(MlflowClient(uri), Tracking.configured(uri).limit)
        asked = {name: client.get_experiment_by_name(name) for name in experiments}
        notes = [f"no experiment {name}" for name, one in asked.items() if one is None]
        if len(notes) == len(asked):
            known = ", ".join(one.name for one in client.search_experiments())
            raise AsdError(f"{uri}: {' and '.join(notes)}; there are {known}")
        ids = [one.experiment_id for one in asked.values() if one is not None]
        while token is not None:
            page = client.search_runs(
                ids, "attributes.status = 'FINISHED'", page_token=token or None
            )
            for run in page:
                try:
                    folders.append(_copy(client, uri, run, copies / run.info.run_id, wanted))
                except AsdError as error:
                    name = f"MLflow run {run.info.run_name}, {run.info.run_id}"
                    notes.append(f"{name} ({error})")
            token = page.token or None
    except (MlflowException, OSError) as error:
        raise AsdError(f"{uri}: cannot be read: {str(error).splitlines()[0]}") from error
    collection = collect(folders)
    return Collection(collection.runs, [*notes, *collection.notes])


def _copy(client: Any, uri: str, run: Any, folder: Path, wanted: set[str]) -> Path:
    """Copy a run's files, with the tags that it has in MLflow."""
    check_place(uri, run.info.artifact_uri)
    stored = {file.path for file in client.list_artifacts(run.info.run_id)}
    if missing := [file for file in _NEEDED if file not in stored]:
        raise AsdError(f"no {' and no '.join(missing)}")
    folder.mkdir(parents=True, exist_ok=True)
    for file in stored & wanted:
        if file == "run.json" or not (folder / file).exists():
            client.download_artifacts(run.info.run_id, file, str(folder))
    copy = RunFolder(folder)
    tags = {k: v for k, v in run.data.tags.items() if not k.startswith("mlflow.")}
    tags = {**copy.record().get("tags", {}), **tags}
    copy.update(status=FINISHED, ended=run.info.end_time, tags=tags)
    return folder
