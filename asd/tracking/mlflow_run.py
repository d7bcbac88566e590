"""The MLflow run of a run folder: a copy of what the folder holds, and the losses as they come.

Files come first: when the tracker fails in the middle, training goes on, and ``publish`` completes
the run from its folder at the end, or ``python -m asd.tracking.sync`` later.
"""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from asd.errors import AsdError
from asd.experiment.run_folder import RunFolder
from asd.tracking.datasets import dataset_inputs
from asd.tracking.mlflow_store import Tracking, connect, reason
from asd.tracking.publish import epoch_metrics, publish

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

log = logging.getLogger(__name__)

# Params that MLflow accepts in one request.
_BATCH = 100
# Metrics of epochs that wait at most for a request.
_METRICS = 500
# What MLflow answers for a run that it never had, or that was deleted.
GONE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "INVALID_STATE")


class MlflowRun:
    """Logs a run while it is computed. Does nothing when tracking is off.

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
        self._waiting: list[Metric] = []
        self._logged = float("-inf")
        self._monitor: Any = None

    def start(self, name: str, tags: dict[str, str], params: dict[str, Any]) -> None:
        """Begin the run, or go on with the one that the folder remembers.

        Args:
            name: of the run.
            tags: what runs are filtered by.
            params: the options in which runs differ.

        Raises:
            AsdError: the tracker cannot be reached.
        """
        if not self.tracking.enabled:
            return
        from mlflow.exceptions import MlflowException

        self._client, experiment = connect(self.tracking)
        try:
            self.run_id = find_or_create(
                self._client, experiment, self.tracking, self.folder, name, tags, params
            )
        except (MlflowException, OSError) as error:
            raise AsdError(
                f"tracking.uri={self.tracking.uri}: cannot be used: {reason(error)}"
            ) from error
        if self.tracking.system_metrics:
            self._monitor = start_monitor(self.tracking.uri, self.run_id)

    def log_epoch(self, group: str, epoch: int, values: dict[str, float]) -> None:
        """Log an epoch's losses, with those that came shortly before in one request.

        A tracker that has gone away costs nothing but this copy.
        """
        if self._client is None or self.run_id is None or self._behind:
            return
        self._waiting += epoch_metrics(group, epoch, values)
        now = time.monotonic()
        if now - self._logged < self.tracking.live_every and len(self._waiting) < _METRICS:
            return
        self._logged = now
        self._log_waiting()

    def _log_waiting(self) -> None:
        from mlflow.exceptions import MlflowException

        waiting, self._waiting = self._waiting, []
        if self._client is None or self.run_id is None or self._behind or not waiting:
            return
        try:
            self._client.log_batch(self.run_id, metrics=waiting)
        except (MlflowException, OSError) as error:
            # Not asked again before the end: a server that hangs would cost a timeout an epoch.
            self._behind = True
            log.warning(
                "MLflow does not answer (%s); training goes on, and the run is completed from %s "
                "at its end",
                reason(error),
                self.folder.path,
            )

    def tag(self, tags: dict[str, str | None]) -> None:
        """Set tags; None removes one. ``run.json`` has them too, for when the tracker is away."""
        if self._client is None or self.run_id is None or self._behind:
            return
        from mlflow.exceptions import MlflowException

        try:
            there = self._client.get_run(self.run_id).data.tags
            for name, value in tags.items():
                if value is not None:
                    self._client.set_tag(self.run_id, name, value)
                elif name in there:
                    self._client.delete_tag(self.run_id, name)
        except (MlflowException, OSError) as error:
            log.warning("MLflow does not have all tags: %s", reason(error))

    def finish(self, status: str) -> None:
        """Copy the folder's results and close the run with this status."""
        if self._client is None or self.run_id is None:
            return
        from mlflow.exceptions import MlflowException

        if self._monitor is not None:
            self._monitor.finish()
        self._log_waiting()
        try:
            publish(self._client, self.run_id, self.folder, status)
        except (MlflowException, OSError) as error:
            self.folder.update(published=False)
            log.warning(
                "MLflow does not answer (%s); all results are in %s. When it is back, this "
                "completes the run: python -m asd.tracking.sync %s",
                reason(error),
                self.folder.path,
                self.folder.path,
            )
        else:
            self.folder.update(published=True)
            if self._behind:
                log.info("MLflow is back; its run is complete")


def find_or_create(
    client: MlflowClient,
    experiment: str,
    tracking: Tracking,
    folder: RunFolder,
    name: str,
    tags: dict[str, str],
    params: dict[str, Any],
) -> str:
    """The id of the run that the folder remembers, now RUNNING again; of a new one without it.

    Raises:
        MlflowException: the tracker cannot be reached.
    """
    from mlflow.exceptions import MlflowException

    record = folder.record()
    known = record.get("mlflow")
    if known and known["uri"] == tracking.uri:
        run_id = str(known["run_id"])
        try:
            client.update_run(run_id, status="RUNNING")
        except MlflowException as error:
            if error.error_code not in GONE:
                raise
            log.warning("MLflow has no run %s any more; a new one begins", run_id)
        else:
            if not known.get("described", True):
                _describe(client, run_id, tracking, folder, params)
            return run_id
    run_id = _create(client, experiment, folder, name, tags)
    _describe(client, run_id, tracking, folder, params)
    return run_id


def _create(
    client: MlflowClient, experiment: str, folder: RunFolder, name: str, tags: dict[str, str]
) -> str:
    """A new run, or the one that a process made that was killed before it could note its id."""
    token = folder.record().get("mlflow_token")
    if token is not None:
        found = client.search_runs([experiment], f"tags.token = '{token}'", max_results=1)
        if found:
            run_id = str(found[0].info.run_id)
            client.update_run(run_id, status="RUNNING")
            return run_id
    token = uuid4().hex
    folder.update(mlflow_token=token)
    run = client.create_run(experiment, tags={**tags, "token": token}, run_name=name)
    return str(run.info.run_id)


def _describe(
    client: MlflowClient, run_id: str, tracking: Tracking, folder: RunFolder, params: dict[str, Any]
) -> None:
    """Log what a run is; done again where a process was killed over it."""
    known = {"uri": tracking.uri, "run_id": run_id}
    folder.update(mlflow={**known, "described": False}, mlflow_token=None, published=False)
    _log_params(client, run_id, params)
    if datasets := folder.record().get("datasets"):
        client.log_inputs(run_id, dataset_inputs(datasets))
    folder.update(mlflow={**known, "described": True})


def _log_params(client: MlflowClient, run_id: str, params: dict[str, Any]) -> None:
    from mlflow.entities import Param
    from mlflow.utils.validation import MAX_PARAM_VAL_LENGTH

    entries = []
    for key, value in params.items():
        text = value if isinstance(value, str) else json.dumps(value)
        if len(text) > MAX_PARAM_VAL_LENGTH:
            text = f"({len(text)} characters: see config.yaml)"
        entries.append(Param(key, text))
    for at in range(0, len(entries), _BATCH):
        client.log_batch(run_id, params=entries[at : at + _BATCH])


def start_monitor(uri: str, run_id: str) -> Any:
    """A thread that logs what the machine is busy with, every ten seconds, as ``system/...``."""
    from mlflow.system_metrics import system_metrics_monitor

    # A server that goes away is reported once, by the run itself.
    logging.getLogger("mlflow.system_metrics").setLevel(logging.CRITICAL)
    make: Any = system_metrics_monitor.SystemMetricsMonitor  # has no types
    monitor = make(run_id, resume_logging=True, tracking_uri=uri)
    monitor.start()
    return monitor
