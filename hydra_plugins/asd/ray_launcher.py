"""``hydra/launcher=ray``: workers as tasks of a Ray cluster, as many as it has room for."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asd.cores import share
from asd.errors import AsdError
from asd.sweeps.workers import GRACE, WorkerLauncher, start_script


class RayLauncher(WorkerLauncher):
    """Workers as tasks of a Ray cluster; its options: ``conf/hydra/launcher/ray.yaml``."""

    def __init__(
        self, init: Mapping[str, Any], remote: Mapping[str, Any], parallelism: int | None
    ) -> None:
        super().__init__(1 + (remote["max_retries"] or 0))
        self.init = {name: value for name, value in init.items() if value is not None}
        self.remote = {name: value for name, value in remote.items() if value is not None}
        self.parallelism = parallelism

    def start(self, most: int) -> dict[Path, Any]:
        """See ``WorkerLauncher.start``."""
        self.ray = _connected(self.init)
        cluster = self.ray.cluster_resources()
        if cluster.get("GPU"):
            self.remote.setdefault("num_gpus", 1)
        count = min(most, self.parallelism or room(cluster, self.remote))
        if count < 1:
            raise AsdError(
                f"hydra.launcher.remote: the cluster has no room for a worker with {self.remote}; "
                "with an autoscaler set hydra.launcher.parallelism"
            )
        task = self.ray.remote(run_worker).options(**self.remote, name="asd")
        threads, workers = share(max(1, int(self.remote.get("num_cpus", 1))), 1), {}
        for number in range(count):
            log_file = self.folder / f"worker{number}.log"
            variables = {**threads, **self.environment(number)}
            workers[log_file] = task.remote(self.script(most), log_file, variables, Path.cwd())
        return workers

    def status(self, worker: Any) -> int | str | None:
        """See ``WorkerLauncher.status``. What Ray gives up it has tried several times."""
        if not self.ray.wait([worker], timeout=0)[0]:
            return None
        try:
            status: int = self.ray.get(worker)
        except self.ray.exceptions.RayError as error:
            return f"Ray gave it up: {str(error).strip().splitlines()[-1]}"
        return status

    def stop(self, workers: list[Any]) -> None:
        """Tell workers to stop, and wait while they close."""
        for worker in workers:
            self.ray.cancel(worker)
        if workers:
            self.ray.wait(workers, num_returns=len(workers), timeout=GRACE)
        self.ray.shutdown()


def room(cluster: Mapping[str, float], options: Mapping[str, Any]) -> int:
    """How many tasks with these options a cluster with these resources has room for.

    >>> room({"CPU": 8.0, "GPU": 2.0}, {"num_cpus": 2, "num_gpus": 1})
    2
    """
    names = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}
    needs = {names[name]: need for name, need in options.items() if name in names}
    needs = {"CPU": 1, **needs, **options.get("resources", {})}
    return min(int(cluster.get(name, 0) / need) for name, need in needs.items() if need)


def run_worker(script: str, log_file: Path, variables: Mapping[str, str], folder: Path) -> int:
    """The task: a worker beside Ray's own process; gives its exit status.

    Args:
        script: that runs it.
        log_file: that its output is added to.
        variables: of its environment.
        folder: that the sweep was started in; relative paths mean the same here.

    Raises:
        RuntimeError: the folder is not there.
        KeyboardInterrupt: the sweep was stopped; the worker has ended.
        SystemExit: Ray's, on SIGTERM; it tries the task again.
    """
    import ray

    place = f"ray node {ray.get_runtime_context().get_node_id()} on {socket.gethostname()}"
    if not folder.is_dir():
        raise RuntimeError(f"{folder} is not on {place}: all nodes must share the sweep's folder")
    os.chdir(folder)
    worker = start_script(script, log_file, {**variables, "ASD_PLACE": place})
    try:
        while (status := worker.poll()) is None:
            time.sleep(0.5)  # not wait(): Ray's cancelling is noticed between two lines
        return status
    finally:  # if the sweep or the node goes, the run closes
        worker.terminate()
        worker.wait(GRACE)


def _connected(options: Mapping[str, Any]) -> Any:
    """Ray, connected to its cluster.

    Raises:
        AsdError: Ray is not installed, or there is no such cluster.
    """
    try:
        import ray
    except ImportError as error:
        raise AsdError("hydra/launcher=ray needs Ray: pip install -e '.[ray]'") from error
    address = options.get("address") or os.environ.get("RAY_ADDRESS", "")
    host, _, port = address.rpartition("/")[2].rpartition(":")
    handler = signal.getsignal(signal.SIGTERM)
    try:
        if port.isdigit():  # where nobody listens, ray.init would try for ever
            socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(**options, ignore_reinit_error=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise AsdError(
            f"hydra.launcher.init.address={address or None}: no Ray there ({error}); start it by "
            "`ray start --head --port=PORT`, or leave the address out"
        ) from error
    finally:
        signal.signal(signal.SIGTERM, handler)  # Ray's would end this process on the spot
    return ray
