"""``hydra/launcher=ray``: workers as tasks of a Ray cluster, as many at once as have room."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from asd.cores import share
from asd.errors import AsdError
from asd.sweeps.cells import Failure
from asd.sweeps.workers import GRACE, WorkerLauncher, start_process


class RayLauncher(WorkerLauncher):
    """Workers as tasks of a Ray cluster; its options: ``conf/hydra/launcher/ray.yaml``."""

    def __init__(
        self, init: Mapping[str, Any], remote: Mapping[str, Any], parallelism: int | None
    ) -> None:
        self.init = {name: value for name, value in init.items() if value is not None}
        self.remote = {name: value for name, value in remote.items() if value is not None}
        self.parallelism = parallelism

    def start(self, numbers: Sequence[int]) -> dict[int, Any]:
        """See ``WorkerLauncher.start``. Those that have no room yet wait in Ray's own queue."""
        self.ray = self._connected()
        if self.ray.cluster_resources().get("GPU"):
            self.remote.setdefault("num_gpus", 1)
        task = self.ray.remote(run_worker).options(**self.remote, name="asd")
        threads = share(max(1, int(self.remote.get("num_cpus", 1))))
        workers, here = {}, Path.cwd()
        for i in numbers[: self.parallelism]:
            variables = {**threads, **self.environment(i)}
            workers[i] = task.remote(self.command, self.log_file(i), variables, here)
        return workers

    def status(self, worker: Any) -> Any:
        """See ``WorkerLauncher.status``. What Ray gives up it has tried several times."""
        if not self.ray.wait([worker], timeout=0)[0]:
            return None
        try:
            return self.ray.get(worker)
        except self.ray.exceptions.RayError as error:
            return f"Ray gave it up: {str(error).strip().splitlines()[-1]}"

    def stop(self, workers: list[Any], over: bool) -> None:
        """Tell workers to stop, and wait while they close."""
        for worker in workers:
            self.ray.cancel(worker)
        if workers:
            self.ray.wait(workers, num_returns=len(workers), timeout=GRACE)
        self.ray.shutdown()

    def _connected(self) -> Any:
        """Ray, connected to its cluster; an ``AsdError`` where there is none."""
        address = self.init.get("address") or os.environ.get("RAY_ADDRESS") or "auto"
        host, _, port = address.rpartition("/")[2].rpartition(":")
        handler = signal.getsignal(signal.SIGTERM)
        try:
            import ray

            if port.isdigit():  # where nobody listens, ray.init would try for ever
                socket.create_connection((host, int(port)), timeout=10).close()
            ray.init(**{**self.init, "address": address}, ignore_reinit_error=True)
        except Exception as error:  # of many kinds; where a token is wrong, many lines
            raise AsdError(
                f"hydra.launcher.init.address={address}: no Ray there that lets us in "
                f"({Failure.of(error).message}); pip install -e '.[ray]', then `ray start --head "
                "--port=PORT` with a token (docs/scaling.md)"
            ) from error
        finally:
            signal.signal(signal.SIGTERM, handler)  # Ray's would end this process on the spot
        return ray


def run_worker(
    command: list[str], log_file: Path, variables: Mapping[str, str], folder: Path
) -> int:
    """The task: a worker beside Ray's own process, in this folder; gives its exit status.

    Ray raises SystemExit here on SIGTERM and tries the task again, and KeyboardInterrupt if the
    sweep was stopped; both end the worker.
    """
    import ray

    place = f"ray node {ray.get_runtime_context().get_node_id()} on {socket.gethostname()}"
    if not folder.is_dir():
        raise RuntimeError(f"{folder} is not on {place}: all nodes must share the sweep's folder")
    os.chdir(folder)
    worker = start_process(command, log_file, {**variables, "ASD_PLACE": place})
    try:
        while (status := worker.poll()) is None:
            time.sleep(0.5)  # not wait(): Ray's cancelling is noticed between two lines
        return status
    finally:
        worker.terminate()
        worker.wait(GRACE)
