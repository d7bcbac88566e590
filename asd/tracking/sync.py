"""Complete the MLflow runs of run folders: after a server was away, a kill -9, or a copy.

``python -m asd.tracking.sync runs/NAME ...``
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from asd.errors import AsdError
from asd.experiment.run_folder import FAILED, RUNNING, RunFolder
from asd.tracking.mlflow_run import GONE, find_or_create
from asd.tracking.mlflow_store import Tracking, absolute_uri, connect, reason
from asd.tracking.publish import publish

if TYPE_CHECKING:
    from mlflow import MlflowClient

_DEFAULT_URI = "sqlite:///mlruns/mlflow.db"
_DEFAULT_EXPERIMENT = "asd"


def complete(folder: RunFolder, uri: str | None = None, experiment: str | None = None) -> str:
    """Bring a folder's MLflow run up to what the files say; the caller holds the folder's lock.

    A folder that still says RUNNING is one whose process is dead: it becomes FAILED, in the folder
    and in MLflow. The run is made if the tracker does not have it.

    Args:
        folder: the files.
        uri: of the tracker; None: the one that the run was logged to, else MLFLOW_TRACKING_URI,
            else the embedded database of the working directory.
        experiment: in which a new run is listed; None: the one that the run was trained under.

    Returns:
        What was done, in a few words.

    Raises:
        AsdError: this is no run folder, or the tracker cannot be reached.
    """
    from mlflow.exceptions import MlflowException

    record = folder.record()
    if "status" not in record:
        raise AsdError(f"{folder.path}: no run folder (it has no run.json)")
    known = record.get("mlflow") or {}
    uri = uri or known.get("uri") or os.environ.get("MLFLOW_TRACKING_URI") or _DEFAULT_URI
    uri = absolute_uri(uri)
    experiment = experiment or record.get("mlflow_experiment") or _DEFAULT_EXPERIMENT
    artifacts = Path(uri.removeprefix("sqlite:///")).parent / "artifacts"
    tracking = Tracking(True, uri, str(artifacts), experiment)
    died = record["status"] == RUNNING
    if died:
        folder.update(status=FAILED)
    status = FAILED if died else record["status"]
    client, experiment_id = connect(tracking)
    try:
        finished = known.get("uri") == uri and record.get("published") and not died
        if finished and _status(client, known["run_id"]) == status:
            return f"already complete ({status})"
        title = str(record.get("title", folder.path.name))
        name, tags = str(record.get("run_name", title)), record.get("tags", {})
        run_id = find_or_create(
            client, experiment_id, tracking, folder, name, tags, record.get("params", {})
        )
        publish(client, run_id, folder, status)
    except (MlflowException, OSError) as error:
        folder.update(published=False)
        raise AsdError(
            f"{folder.path.name}: {uri} does not answer: {reason(error)}; run this again when it "
            "is back"
        ) from error
    folder.update(published=True)
    return f"completed as {status}" + (", for its process is gone" if died else "")


def _status(client: MlflowClient, run_id: str) -> str | None:
    """A run's status at the tracker; None if it has no such run any more."""
    from mlflow.exceptions import MlflowException

    try:
        info = client.get_run(run_id).info
    except MlflowException as error:
        if error.error_code in GONE:
            return None
        raise
    return str(info.status) if info.lifecycle_stage == "active" else None


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0, or 2 if a run could not be completed."""
    parser = argparse.ArgumentParser(
        prog="python -m asd.tracking.sync",
        description="Complete the MLflow runs of run folders from their files.",
    )
    parser.add_argument("folder", nargs="+", type=Path, help="a run folder")
    parser.add_argument("--uri", help="of the tracker (default: the one the run was logged to)")
    parser.add_argument("--experiment", help="for runs that the tracker does not have yet")
    options = parser.parse_args(arguments)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    failed = 0
    for path in options.folder:
        folder = RunFolder(path.absolute())
        try:
            if not folder.record():
                raise AsdError(f"{path}: no run folder (it has no run.json)")
            with folder.lock():
                print(f"{path.name}: {complete(folder, options.uri, options.experiment)}")
        except AsdError as error:
            failed += 1
            print(f"error: {error}", file=sys.stderr)
    return 2 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
