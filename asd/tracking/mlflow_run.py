"""MLflow: a copy of what the run folder holds, and the losses as they come.

Files come first: when the tracker fails in the middle, training goes on, and ``publish`` completes
the run from its folder later.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asd.errors import AsdError
from asd.tracking.run_folder import RunFolder

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

_SQLITE = "sqlite:///"


@dataclass(frozen=True)
class Tracking:
    """The config group ``tracking``, with absolute addresses."""

    enabled: bool
    uri: str
    artifacts: str
    experiment: str

    @classmethod
    def of(cls, options: dict[str, Any]) -> Tracking:
        """From the composed options; relative paths start at the working directory."""
        if not options["enabled"]:
            return cls(False, "", "", "")
        uri = str(options["uri"])
        if uri.startswith(_SQLITE):
            uri = _SQLITE + str(Path(uri[len(_SQLITE) :]).absolute())
        elif "://" not in uri:
            raise AsdError(
                f"tracking.uri={uri}: must be a server (http://...) or a database "
                "(sqlite:///FILE, postgresql://...); MLflow no longer accepts folders"
            )
        return cls(True, uri, str(Path(options["artifacts"]).absolute()), options["experiment"])

    @property
    def ui_command(self) -> str | None:
        """The line that opens the UI of an embedded database; None for a server."""
        if not self.uri.startswith(_SQLITE):
            return None
        return f"mlflow ui --backend-store-uri {_SQLITE}{_short(self.uri[len(_SQLITE) :])}"


def _short(path: str) -> str:
    """Relative to the working directory where that is shorter to read."""
    here = str(Path.cwd()) + os.sep
    return path.removeprefix(here)


def connect(tracking: Tracking) -> tuple[MlflowClient, str]:
    """Open the tracker, making database and experiment where they are not there yet.

    Processes that start together on a fresh database would trip over each other's tables, so one
    makes them and the others wait.

    Returns:
        The client and the experiment's id.

    Raises:
        AsdError: the tracker cannot be reached.
    """
    # Its defaults try a dead server for minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    from filelock import FileLock

    if not tracking.uri.startswith(_SQLITE):
        return _open(tracking, None)
    database = Path(tracking.uri[len(_SQLITE) :])
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(str(database) + ".lock"):
            fresh = not database.exists()
            opened = _open(tracking, Path(tracking.artifacts).as_uri())
            if fresh:
                # Lets one process write while others read; a property of the file from now on.
                with sqlite3.connect(database) as connection:
                    connection.execute("pragma journal_mode=wal")
            return opened
    except OSError as error:
        raise AsdError(f"{database}: {error.strerror}; set paths.mlruns or tracking.uri") from error


def _open(tracking: Tracking, artifacts: str | None) -> tuple[MlflowClient, str]:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    for name in ("alembic", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        client = MlflowClient(tracking.uri)
        found = client.get_experiment_by_name(tracking.experiment)
        if found is None:
            try:
                made = client.create_experiment(tracking.experiment, artifacts)
                return client, made
            except MlflowException:
                # Another process may have made it since we looked.
                found = client.get_experiment_by_name(tracking.experiment)
                if found is None:
                    raise
    except MlflowException as error:
        raise AsdError(
            f"tracking.uri={tracking.uri}: cannot be used: {str(error).splitlines()[0]}. Start the "
            "server, or use the embedded database (unset MLFLOW_TRACKING_URI) or tracking=off"
        ) from error
    if found.lifecycle_stage != "active":
        raise AsdError(
            f"tracking.experiment={tracking.experiment}: deleted in MLflow; restore it "
            "(mlflow experiments restore) or choose another name"
        )
    return client, str(found.experiment_id)


class MlflowRun:
    """The MLflow run of a run folder. Does nothing when tracking is off.

    Args:
        tracking: where.
        folder: the run's folder; ``run.json`` remembers the MLflow run's id.
    """

    def __init__(self, tracking: Tracking, folder: RunFolder) -> None:
        self.tracking = tracking
        self.folder = folder
        self.run_id: str | None = None
        self._client: MlflowClient | None = None
        self._behind = False

    def start(self, name: str, tags: dict[str, str], params: dict[str, Any]) -> None:
        """Begin the run, or go on with the one that the folder remembers.

        Args:
            name: of the run.
            tags: what runs are filtered by.
            params: the config's delta.

        Raises:
            AsdError: the tracker cannot be reached.
        """
        if not self.tracking.enabled:
            return
        from mlflow.exceptions import MlflowException

        self._client, experiment = connect(self.tracking)
        known = self.folder.record().get("mlflow")
        if known and known["uri"] == self.tracking.uri:
            try:
                self._client.update_run(known["run_id"], status="RUNNING")
                self.run_id = known["run_id"]
            except MlflowException:
                log.warning("MLflow has no run %s any more; a new one begins", known["run_id"])
        if self.run_id is None:
            run = self._client.create_run(experiment, tags=tags, run_name=name)
            self.run_id = run.info.run_id
            self.folder.update(mlflow={"uri": self.tracking.uri, "run_id": self.run_id})
            self._log_params(params)

    def _log_params(self, params: dict[str, Any]) -> None:
        from mlflow.entities import Param
        from mlflow.utils.validation import MAX_PARAM_VAL_LENGTH

        entries = []
        for key, value in params.items():
            text = value if isinstance(value, str) else json.dumps(value)
            if len(text) > MAX_PARAM_VAL_LENGTH:
                text = f"({len(text)} characters: see config.yaml)"
            entries.append(Param(key, text))
        assert self._client is not None and self.run_id is not None
        for at in range(0, len(entries), 100):
            self._client.log_batch(self.run_id, params=entries[at : at + 100])

    def log_epoch(self, group: str, epoch: int, values: dict[str, float]) -> None:
        """Log an epoch's losses; a tracker that has gone away costs nothing but this copy."""
        if self._client is None or self.run_id is None or self._behind:
            return
        from mlflow.exceptions import MlflowException

        try:
            self._client.log_batch(self.run_id, metrics=epoch_metrics(group, epoch, values))
        except (MlflowException, OSError) as error:
            self._behind = True
            log.warning(
                "MLflow does not answer (%s); training goes on, and the run is completed from %s "
                "at its end",
                str(error).splitlines()[0],
                self.folder.path,
            )

    def finish(self, status: str) -> None:
        """Copy the folder's results and close the run with this status."""
        if self._client is None or self.run_id is None:
            return
        from mlflow.exceptions import MlflowException

        try:
            publish(self._client, self.run_id, self.folder, status, losses=self._behind)
        except (MlflowException, OSError) as error:
            log.warning(
                "MLflow does not answer (%s); all results are in %s. When it is back, the same "
                "command completes the run",
                str(error).splitlines()[0],
                self.folder.path,
            )
            self.folder.update(published=False)
        else:
            self.folder.update(published=True)


def epoch_metrics(group: str, epoch: int, values: dict[str, float]) -> list[Any]:
    """An epoch's values as MLflow metrics: ``train/loss``, or ``fan/train/loss`` of one machine."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    prefix = "" if group == "shared" else f"{group}/"
    return [Metric(prefix + name, value, now, epoch) for name, value in values.items()]


def publish(
    client: MlflowClient, run_id: str, folder: RunFolder, status: str, losses: bool
) -> None:
    """Copy what a run folder holds to an MLflow run: a pure function of the files.

    Args:
        client: of the tracker.
        run_id: the run.
        folder: the files.
        status: FINISHED, FAILED or KILLED.
        losses: whether the epochs' losses are missing there.
    """
    from mlflow.entities import Metric, RunTag

    from asd.scoring.clip_scores import read_scores
    from asd.scoring.metrics import evaluate_scores, flat_metrics
    from asd.scoring.tables import markdown
    from asd.training.history import read_history

    record = folder.record()
    if losses:
        for model in folder.models():
            for row in read_history(model / "history.csv"):
                epoch = int(row.pop("epoch"))
                client.log_batch(run_id, metrics=epoch_metrics(model.name, epoch, row))
    now = int(time.time() * 1000)
    values = dict(record.get("resources", {}))
    if folder.scores.exists():
        metrics = evaluate_scores(read_scores(folder.scores), record["max_fpr"])
        values = {**flat_metrics(metrics), **values}
        note = markdown(metrics, record["title"], record["data_label"])
        client.log_batch(run_id, tags=[RunTag("mlflow.note.content", note[:7900])])
    entries = [Metric(name, value, now, 0) for name, value in values.items()]
    for at in range(0, len(entries), 500):
        client.log_batch(run_id, metrics=entries[at : at + 500])
    for file in (folder.config, folder.path / "environment.json", folder.scores, folder.log_file):
        if file.exists():
            client.log_artifact(run_id, str(file))
    if folder.tables.is_dir():
        client.log_artifacts(run_id, str(folder.tables), "tables")
    for model in folder.models():
        for name in ("best.ckpt", "history.csv", "validation.csv"):
            if (model / name).exists():
                client.log_artifact(run_id, str(model / name), f"models/{model.name}")
    client.set_terminated(run_id, status)
