"""Finished runs from MLflow: their scores and configs are copied to a folder and read there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from asd.errors import AsdError
from asd.reporting.runs import Found, make_run
from asd.tracking.run_folder import FINISHED

_PAGE = 500  # runs asked for at a time


def collect_mlflow(uri: str, experiment: str, copies: Path, pictures: bool) -> Found:
    """The finished runs of an experiment, oldest first.

    Args:
        uri: of the tracker.
        experiment: its name there.
        copies: folder for the runs' files, one folder a run; what is there already is kept.
        pictures: whether to copy the runs' pictures too.

    Raises:
        AsdError: the tracker cannot be reached, or has no such experiment.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    found = Found()
    try:
        client = MlflowClient(uri)
        known = client.get_experiment_by_name(experiment)
        if known is None:
            names = ", ".join(e.name for e in client.search_experiments())
            raise AsdError(f"{uri}: no experiment {experiment!r}; there are {names}")
        token: str | None = None
        while True:
            page = client.search_runs(
                [known.experiment_id], "attributes.status = 'FINISHED'",
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
        found.notes.append(f"MLflow run {name} ({run_id}): not used: no {' and no '.join(missing)}")
        return
    wanted = ["scores.csv", "config.yaml", *(["pictures"] if pictures else [])]
    for file in wanted:
        if file in there and not (folder / file).exists():
            client.download_artifacts(run_id, file, str(folder))
    record: dict[str, Any] = {"status": FINISHED, "finished": (run.info.end_time or 0) / 1000}
    if "run.json" in there:
        client.download_artifacts(run_id, "run.json", str(folder))
        record = {**json.loads((folder / "run.json").read_text()), **record}
    tags = {k: v for k, v in run.data.tags.items() if not k.startswith("mlflow.")}
    try:
        config = yaml.safe_load((folder / "config.yaml").read_text())
        made = make_run(folder, config, record, tags)
        assert len(made.scores)
    except (AsdError, OSError, yaml.YAMLError) as error:
        found.notes.append(f"MLflow run {name} ({run_id}): not used: {error}")
        return
    found.runs.append(made)
