"""Finished runs from MLflow: their scores and configs are copied to a folder and read there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from asd.errors import AsdError
from asd.experiment.run_folder import FINISHED
from asd.reporting.runs import Found, make_run

_PAGE = 500  # runs asked for at a time


def collect_mlflow(
    uri: str, experiments: list[str] | None, defaults: list[str], copies: Path, pictures: bool
) -> Found:
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

    found = Found()
    try:
        client = MlflowClient(uri)
        known = [client.get_experiment_by_name(name) for name in experiments or defaults]
        ids = [one.experiment_id for one in known if one is not None]
        if not ids or (experiments and len(ids) < len(experiments)):
            names = ", ".join(e.name for e in client.search_experiments())
            wanted = ", ".join(experiments or defaults)
            raise AsdError(f"{uri}: no experiment {wanted}; there are {names}")
        token: str | None = None
        while True:
            page = client.search_runs(
                ids, "attributes.status = 'FINISHED'",
                max_results=_PAGE, order_by=["attributes.end_time ASC"], page_token=token,
            )  # fmt: skip
            for run in page:
                _take(client, run, copies, pictures, found)
            token = page.token
            if not token:
                return found
    except MlflowException as error:
        raise AsdError(f"{uri}: cannot be read: {str(error).splitlines()[0]}") from error


def _take(client: Any, run: Any, copies: Path, pictures: bool, found: Found) -> None:
    import yaml

    run_id, name = run.info.run_id, run.info.run_name
    folder = copies / run_id
    folder.mkdir(parents=True, exist_ok=True)
    there = {file.path for file in client.list_artifacts(run_id)}
    missing = [f for f in ("scores.csv", "config.yaml") if f not in there]
    if missing:
        found.notes.append(f"MLflow run {name}, {run_id} (no {' and no '.join(missing)})")
        return
    wanted = ["scores.csv", "config.yaml", *(["pictures"] if pictures else [])]
    for file in wanted:
        if file in there and not (folder / file).exists():
            client.download_artifacts(run_id, file, str(folder))
    record: dict[str, Any] = {"status": FINISHED, "ended": run.info.end_time}
    if "run.json" in there:
        client.download_artifacts(run_id, "run.json", str(folder))
        record = {**json.loads((folder / "run.json").read_text()), **record}
    tags = {k: v for k, v in run.data.tags.items() if not k.startswith("mlflow.")}
    try:
        config = yaml.safe_load((folder / "config.yaml").read_text())
        made = make_run(folder, config, record, tags)
        assert len(made.scores)
    except (AsdError, OSError, yaml.YAMLError) as error:
        found.notes.append(f"MLflow run {name}, {run_id} ({error})")
        return
    found.runs.append(made)
