"""Complete the MLflow runs of run folders: after a server was away, a kill -9, or a copy.

``python -m asd.tracking.sync runs/NAME ...``
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from asd.errors import AsdError
from asd.experiment.run_folder import FAILED, RUNNING, RunFolder
from asd.tracking.mlflow_run import is_published, known_run, open_run, publish
from asd.tracking.mlflow_store import Tracking, answering, connect


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
        AsdError: the tracker cannot be reached.
    """
    record = folder.record()
    uri = uri or record.get("mlflow", {}).get("uri")
    tracking = Tracking.configured(uri, experiment or record.get("mlflow_experiment"))
    status, died = record["status"], record["status"] == RUNNING
    if died:
        status = FAILED
        folder.update(status=status)
    client, experiment_id = connect(tracking)
    with answering(tracking):
        run = known_run(client, tracking.uri, record)
        if run is not None and run.info.status == status and is_published(record) and not died:
            return f"already complete ({status})"
        open_run(client, experiment_id, tracking.uri, folder)
        publish(client, folder, status)
    return f"completed as {status}" + (", for its process is gone" if died else "")


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
            if "status" not in folder.record():
                raise AsdError(f"{path}: no run folder (it has no run.json)")
            with folder.lock():
                print(f"{path.name}: {complete(folder, options.uri, options.experiment)}")
        except AsdError as error:
            failed += 1
            print(f"error: {error}", file=sys.stderr)
    return 2 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
