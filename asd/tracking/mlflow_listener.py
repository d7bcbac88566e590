"""A run's copy in MLflow, kept while it is computed.

Files come first: when the tracker fails in the middle, training goes on, and the run is completed
from its folder at the end, or by ``python -m asd.tracking.sync`` later.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from asd.errors import AsdError
from asd.experiment.listener import RunListener
from asd.experiment.run_folder import RunFolder
from asd.tracking.mlflow_run import is_published, log_epochs, open_run
from asd.tracking.mlflow_store import Tracking, answering, connect
from asd.tracking.sync import complete

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)


class MlflowListener(RunListener):
    """Logs one run; the last of its listeners, which copies what the others leave in the folder."""

    def __init__(self, tracking: Tracking) -> None:
        self.tracking = tracking
        self._client: MlflowClient | None = None
        self._run_id = ""
        self._waiting: set[str] = set()
        self._sent = float("-inf")

    def check(self) -> None:
        """Refuse a server that is down, or refuses us, by an ``AsdError``."""
        if not self.tracking.embedded:
            connect(self.tracking)

    def finished_before(self, folder: RunFolder) -> None:
        """Complete the run where MLflow missed its end, or tags that it got since."""
        record = folder.record()
        if "mlflow" not in record or is_published(record):
            return
        if record["mlflow"].get("uri") == self.tracking.uri:
            self._complete(folder)
        else:  # nothing is sent to where a folder, which may be anyone's, says
            log.warning("its MLflow run is at another address: %s", record["mlflow"].get("uri"))

    def started(self, folder: RunFolder, models: Sequence[str]) -> None:
        """Begin the MLflow run, or go on with the one that the folder remembers."""
        client, experiment = connect(self.tracking)
        with answering(self.tracking):
            self._run_id = open_run(client, experiment, self.tracking.uri, folder)
        self._client, self._folder = client, folder

    def epoch_ended(self, model: str, epoch: int, values: Mapping[str, float]) -> None:
        """Log an epoch's losses, with those that came shortly before in one request.

        A tracker that has gone away costs nothing but this copy.
        """
        self._waiting.add(model)
        now = time.monotonic()
        if self._client is None or now - self._sent < self.tracking.live_every:
            return
        waiting, self._waiting, self._sent = self._waiting, set(), now
        with self._going_on_without():
            for name in sorted(waiting):
                log_epochs(self._client, self._run_id, self._folder.model(name))

    @contextmanager
    def _going_on_without(self) -> Iterator[None]:
        try:
            with answering(self.tracking):
                yield
        except AsdError as error:
            # Not asked again before the end: a server that hangs would cost a timeout an epoch.
            self._client = None
            later = "training goes on, and the MLflow run is completed from the folder at its end"
            log.warning("%s; %s", error, later)

    def ended(self, folder: RunFolder, status: str) -> None:
        """Copy the folder's results and close the MLflow run with this status."""
        if not self._run_id:
            return
        if folder.record().get("mlflow", {}).get("run_id") == self._run_id:
            self._complete(folder)
        else:  # removed: there is nothing to copy
            with self._going_on_without():
                client, _ = connect(self.tracking)
                client.set_terminated(self._run_id, status)

    def _complete(self, folder: RunFolder) -> None:
        try:
            log.info("its MLflow run: %s", complete(folder, self.tracking))
        except AsdError as error:
            later = f"python -m asd.tracking.sync {folder.path} --uri {self.tracking.uri}"
            log.warning("%s; all results are in %s. This completes the MLflow run later: %s",
                        error, folder.path, later)  # fmt: skip
