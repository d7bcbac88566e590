"""A run's copy in MLflow, kept while it is computed.

Files come first: when the tracker fails in the middle, training goes on, and the run is completed
from its folder at the end, or by ``python -m asd.tracking.sync`` later.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from asd.errors import AsdError
from asd.experiment.listener import RunListener
from asd.experiment.run_folder import RunFolder
from asd.tracking.mlflow_run import BATCH, epoch_metrics, is_published, open_run, publish
from asd.tracking.mlflow_store import Tracking, connect, reason, tracker_errors, unusable
from asd.tracking.sync import complete

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.entities import Metric

    from asd.scoring.metrics import Metrics

log = logging.getLogger(__name__)


class MlflowListener(RunListener):
    """Logs one run. Does nothing when tracking is off.

    It is the last of the run's listeners: what the others write to the record and the folder, it
    copies.

    Args:
        tracking: where.
    """

    def __init__(self, tracking: Tracking) -> None:
        self.tracking = tracking
        self._client: MlflowClient | None = None
        self._run_id = ""
        self._metrics: Metrics | None = None
        self._waiting: list[Metric] = []
        self._sent = float("-inf")
        self._away = False
        self._monitor: Any = None

    def check(self) -> None:
        """Refuse a server that is down, or refuses us.

        Raises:
            AsdError: says which and what to do.
        """
        if self.tracking.enabled and not self.tracking.embedded:
            connect(self.tracking)

    def finished_before(self, folder: RunFolder) -> None:
        """Complete the run where MLflow missed its end, or tags that it got since."""
        record = folder.record()
        if not self.tracking.enabled or "mlflow" not in record or is_published(record):
            return
        try:
            log.info("its MLflow run: %s", complete(folder))
        except AsdError as error:
            log.warning("its MLflow run is not complete: %s", error)

    def started(self, folder: RunFolder, models: Sequence[str]) -> None:
        """Begin the MLflow run, or go on with the one that the folder remembers.

        Raises:
            AsdError: the tracker cannot be reached.
        """
        if not self.tracking.enabled:
            return
        client, experiment = connect(self.tracking)
        try:
            self._run_id = open_run(client, experiment, self.tracking.uri, folder)
        except tracker_errors() as error:
            raise unusable(self.tracking, error) from error
        self._client = client
        if self.tracking.system_metrics:
            self._monitor = _start_monitor(self.tracking.uri, self._run_id)

    def epoch_ended(self, model: str, epoch: int, values: Mapping[str, float]) -> None:
        """Log an epoch's losses, with those that came shortly before in one request.

        A tracker that has gone away costs nothing but this copy.
        """
        if self._client is None or self._away:
            return
        self._waiting += epoch_metrics(model, epoch, values, time.time())
        now = time.monotonic()
        if now - self._sent < self.tracking.live_every and len(self._waiting) < BATCH:
            return
        waiting, self._waiting, self._sent = self._waiting, [], now
        try:
            self._client.log_batch(self._run_id, metrics=waiting)
        except tracker_errors() as error:
            # Not asked again before the end: a server that hangs would cost a timeout an epoch.
            self._away = True
            log.warning(
                "MLflow does not answer (%s); training goes on, and the run is completed from its "
                "folder at its end",
                reason(error),
            )

    def scored(self, folder: RunFolder, scores: pd.DataFrame, metrics: Metrics) -> None:
        """Keep the metrics for the end."""
        self._metrics = metrics

    def ended(self, folder: RunFolder, status: str) -> None:
        """Copy the folder's results and close the MLflow run with this status."""
        if self._client is None:
            return
        if self._monitor is not None:
            self._monitor.finish()
        try:
            publish(self._client, folder, status, self._metrics)
        except tracker_errors() as error:
            log.warning(
                "MLflow does not answer (%s); all results are in %s. When it is back, this "
                "completes the run: python -m asd.tracking.sync %s",
                reason(error), folder.path, folder.path,
            )  # fmt: skip
        else:
            if self._away:
                log.info("MLflow is back; its run is complete")


def _start_monitor(uri: str, run_id: str) -> Any:
    """A thread that logs what the machine is busy with, every ten seconds, as ``system/...``."""
    from mlflow.system_metrics import system_metrics_monitor

    # A server that goes away is reported once, by the run itself.
    logging.getLogger("mlflow.system_metrics").setLevel(logging.CRITICAL)
    make: Any = system_metrics_monitor.SystemMetricsMonitor  # has no types
    monitor = make(run_id, resume_logging=True, tracking_uri=uri)
    monitor.start()
    return monitor
