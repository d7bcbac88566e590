"""Complete the MLflow runs of run folders: after a server was away, a kill -9, or a copy.

``python -m asd.tracking.sync runs/NAME ...``
"""

from __future__ import annotations

import argparse
import logging
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from asd.errors import AsdError
from asd.exit_status import exit_status, program
from asd.experiment.experiment import Experiment
from asd.experiment.run_folder import FAILED, FINISHED, KILLED, RUNNING, RunFolder
from asd.experiment.run_labels import run_params
from asd.options import check_choice
from asd.tracking.mlflow_run import is_published, known_run, open_copy, open_run, publish
from asd.tracking.mlflow_store import Tracking, answering, connect

log = logging.getLogger(__name__)


def complete(folder: RunFolder, tracking: Tracking) -> str:
    """Bring a folder's MLflow run up to what the files say; gives what was done, in a few words.

    It is made if the tracker does not have it. The caller holds the folder's lock.
    """
    record = folder.record()
    known = (RUNNING, FINISHED, FAILED, KILLED)
    check_choice(f"{folder.path / 'run.json'}: status", record.get("status"), known)
    client, experiment = connect(tracking)
    try:
        with answering(tracking):
            run = known_run(client, tracking.uri, record)
            if run and run.info.status == record["status"] and is_published(record):
                return f"already complete ({record['status']})"
            open_run(client, experiment, tracking.uri, folder)
            publish(client, folder)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise AsdError(f"{folder.path / 'run.json'}: damaged ({error!r:.200})") from error
    return f"completed as {record['status']}"


def list_runs(finished: Sequence[tuple[Experiment, RunFolder]]) -> None:
    """Have finished runs where today's config lists them, with its params; say what was copied."""
    copied: Counter[str] = Counter()
    try:
        for one, folder in finished:
            tracking = Tracking.of(one.config["tracking"], one.tracking_name)
            if not tracking.enabled:
                continue
            client, experiment = connect(tracking)
            if not folder.record().get("mlflow"):
                with folder.lock():
                    complete(folder, tracking)
            with answering(tracking):
                params = run_params(one.config, one.command)
                if copy := open_copy(client, experiment, tracking.uri, folder, params):
                    publish(client, folder, copy)
                    copied[tracking.experiment] += 1
    except AsdError as error:
        log.warning("MLflow may lack runs that were finished before: %s", error)
    for name, count in copied.items():
        print(f"MLflow: {count} runs finished elsewhere are copied to {name}")


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0, or 2 if a run could not be completed."""
    parser = argparse.ArgumentParser(
        prog="python -m asd.tracking.sync",
        description="Complete the MLflow runs of run folders from their files.",
    )
    parser.add_argument("folder", nargs="+", type=Path, help="a run folder")
    parser.add_argument("--uri", help="of the tracker (default: MLFLOW_TRACKING_URI, or ours)")
    parser.add_argument("--experiment", help="for runs that the tracker does not have yet")
    options = parser.parse_args(arguments)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    folders = [RunFolder(path.absolute()) for path in options.folder]
    return max(exit_status(partial(_sync, folder, options)) for folder in folders)


def _sync(folder: RunFolder, options: argparse.Namespace) -> None:
    path = folder.path
    if len(options.folder) > 1 and path.is_dir() and not folder.record():
        print(f"{path.name}: no run folder, passed over")
        return
    if "status" not in folder.record():
        raise AsdError(f"{path}: no run folder (it has no run.json)")
    with folder.lock():
        record = folder.record()
        if record["status"] == RUNNING:  # of a process that is gone: the lock is free
            folder.update(status=FAILED, published=False)
        experiment = options.experiment or record.get("mlflow_experiment")
        tracking = Tracking.configured(options.uri, experiment)
        known = (record.get("mlflow") or {}).get("uri", tracking.uri)
        if options.uri is None and known != tracking.uri:
            raise AsdError(  # credentials go where the user says, not where a file does
                f"{path}: was logged to {known}, which is not the tracker configured here, "
                f"{tracking.uri}; say which one is meant: --uri URI"
            )
        print(f"{path.name}: {complete(folder, tracking)}")


if __name__ == "__main__":
    program(main)
