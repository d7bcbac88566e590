"""Finished runs from MLflow: their scores and configs are copied to a folder and read there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from asd.errors import AsdError
from asd.experiment.run_folder import FINISHED
from asd.reporting.runs import Collection

_PAGE = 500  # runs asked for at a time
_NEEDED = ("scores.csv", "config.yaml", "run.json")


def collect_mlflow(
    uri: str, experiments: list[str] | None, defaults: list[str], copies: Path, pictures: bool
) -> Collection:
    """The finished runs of some experiments, oldest first.

    Args:
        uri: of the tracker.
        experiments: their names there; each must be there. None: those of ``defaults`` that are.
        defaults: see ``experiments``.
        copies: folder for the runs' files, one folder a run; what is there already is kept.
        pictures: whether to copy the runs' pictures too.

    Raises:
        AsdError: the tracker cannot be reached, or has none of the experiments.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    collection = Collection()
    try:
        client = MlflowClient(uri)
        known = [client.get_experiment_by_name(name) for name in experiments or defaults]
        ids = [one.experiment_id for one in known if one is not None]
        if not ids or (experiments and len(ids) < len(experiments)):
            names = ", ".join(e.name for e in client.search_experiments())
            wanted = ", ".join(experiments or defaults)
            raise AsdError(f"{uri}: no experiment {wanted}; there are {names}")
        token: str | None = ""
        while token is not None:
            page = client.search_runs(
                ids, "attributes.status = 'FINISHED'",
                max_results=_PAGE, order_by=["attributes.end_time ASC"], page_token=token or None,
            )  # fmt: skip
            for run in page:
                _add(client, run, copies, pictures, collection)
            token = page.token or None
    except MlflowException as error:
        raise AsdError(f"{uri}: cannot be read: {str(error).splitlines()[0]}") from error
    return collection


def _add(client: Any, run: Any, copies: Path, pictures: bool, collection: Collection) -> None:
    run_id, name = run.info.run_id, f"MLflow run {run.info.run_name}, {run.info.run_id}"
    stored = {file.path for file in client.list_artifacts(run_id)}
    missing = [file for file in _NEEDED if file not in stored]
    if missing:
        collection.notes.append(f"{name} (no {' and no '.join(missing)})")
        return
    folder = copies / run_id
    folder.mkdir(parents=True, exist_ok=True)
    for file in stored & {*_NEEDED, *(["pictures"] if pictures else [])}:
        if file == "run.json" or not (folder / file).exists():
            client.download_artifacts(run_id, file, str(folder))
    tags = {k: v for k, v in run.data.tags.items() if not k.startswith("mlflow.")}
    collection.add(folder, name, tags, status=FINISHED, ended=run.info.end_time)
