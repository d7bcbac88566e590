"""Workers as tasks of a Ray cluster, as many as its nodes have room for."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from asd.cores import share
from asd.errors import AsdError
from asd.signals import stopped_by
from asd.sweeps.worker_process import PARENT
from asd.sweeps.workers import GLANCE, GRACE, WorkerLauncher, last_lines, was_taken_down

log = logging.getLogger(__name__)

# Seconds that a cluster's head may take to answer.
_KNOCK = 10.0


class RayWorkers(WorkerLauncher):
    """Workers as tasks of a Ray cluster.

    Args:
        init: options of ``ray.init``; None: left out.
        remote: options of ``ray.remote``; None: left out. Without ``num_gpus`` a worker has one GPU
            where a node of the cluster has one.
        parallelism: workers at once; None: as many as there is room for.
    """

    def __init__(
        self, init: Mapping[str, Any], remote: Mapping[str, Any], parallelism: int | None
    ) -> None:
        super().__init__(1 + (remote["max_retries"] or 0))
        self.init = {name: value for name, value in init.items() if value is not None}
        self.remote = {name: value for name, value in remote.items() if value is not None}
        self.parallelism = parallelism

    def work(self, watch: Callable[[], bool], most: int | None = None) -> None:
        """See ``WorkerLauncher.work``. Nodes that come later get workers, too."""
        ray = self._connected()
        running: dict[Any, int] = {}
        started, ended, replacements = 0, 0, self.attempts * (most or 1)
        try:
            task = self._task()
            while True:
                wanted = min(self.places(), most or self.places()) if not ended else 0
                for _ in range(wanted - started):
                    running[self._start(task, started)] = started
                    started += 1
                if not running:
                    break
                done, _ = ray.wait(list(running), num_returns=1, timeout=GLANCE)
                left = watch()
                for reference in done:
                    number = running.pop(reference)
                    if self._died(reference, number) and left and replacements > 0:
                        replacements -= 1
                        running[self._start(task, number)] = number
                    else:
                        ended += 1
                if done:
                    time.sleep(GLANCE)
        finally:
            self._stop(list(running))

    def places(self) -> int:
        """How many workers there is room for, on the nodes that are there at the moment."""
        if self.parallelism is not None:
            return self.parallelism
        alive = [node["Resources"] for node in _ray().nodes() if node["Alive"]]
        return sum(room(node, self.remote) for node in alive)

    def _connected(self) -> Any:
        ray = _ray()
        _knock(self.init.get("address") or os.environ.get("RAY_ADDRESS", ""))
        handler = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(**self.init, ignore_reinit_error=True)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise AsdError(
                f"hydra.launcher.init: Ray does not start: {_line(error)} (docs/scaling.md)"
            ) from error
        finally:
            signal.signal(signal.SIGTERM, handler)  # Ray's would end this process on the spot
        if "num_gpus" not in self.remote and ray.cluster_resources().get("GPU", 0):
            self.remote["num_gpus"] = 1
        if self.places() < 1:
            raise AsdError(
                f"hydra.launcher.remote: no node of the cluster has room for {self.remote}; "
                "with an autoscaler set hydra.launcher.parallelism"
            )
        return ray

    def _task(self) -> Any:
        return _ray().remote(run_worker).options(**self.remote, name="asd")

    def _start(self, task: Any, number: int) -> Any:
        threads = max(1, int(self.remote.get("num_cpus", 1)))
        variables = {**share(threads, 1), **self.environment()}
        output = self.folder / f"worker{number}.log"
        return task.remote(self.command(), variables, str(Path.cwd()), str(output))

    def _died(self, reference: Any, number: int) -> bool:
        """Whether a worker that has ended was lost; what went wrong is said."""
        ray, path = _ray(), self.folder / f"worker{number}.log"
        try:
            status = ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            raise AsdError(f"hydra/launcher=ray: {_line(error.cause or error)}") from error
        except ray.exceptions.RayError as error:
            log.warning("Ray gave worker %d up: %s: %s (Ray's own logs: session_latest/logs in the "
                        "--temp-dir of the node)", number, type(error).__name__, _line(error))  # fmt: skip
            return True
        if status:
            log.warning("worker %d ended by status %d; its log: %s%s",
                        number, status, path, last_lines(path))  # fmt: skip
        return False

    def _stop(self, references: Sequence[Any]) -> None:
        """Tell workers to stop, and wait while they close."""
        ray = _ray()
        for reference in references:
            with suppress(Exception):
                ray.cancel(reference)
        if references:
            ray.wait(list(references), num_returns=len(references), timeout=GRACE)
        ray.shutdown()


def run_worker(
    command: Sequence[str], variables: Mapping[str, str], folder: str, output: str
) -> int:
    """The task: a worker's process beside Ray's own; gives its exit status.

    If it is taken down, so is this one, and Ray tries the task again, on this node or another.

    Args:
        command: of the worker.
        variables: of its environment.
        folder: that the sweep was started in; relative paths mean the same here.
        output: file that its output is added to.

    Raises:
        RuntimeError: the folder is not there.
        KeyboardInterrupt: the sweep was stopped; the worker has ended.
    """
    node, host = _ray().get_runtime_context().get_node_id(), socket.gethostname()
    if not Path(folder).is_dir():
        raise RuntimeError(
            f"{folder} is not on node {host}: all nodes must share the folder that a sweep is "
            "started in"
        )
    environment = {
        **os.environ,
        **variables,
        PARENT: str(os.getpid()),
        "ASD_PLACE": f"ray node {node} on {host}",
    }
    with open(output, "ab") as log_file:
        worker = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log_file,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        with stopped_by(signal.SIGTERM) as signals:
            status = worker.wait()
    except KeyboardInterrupt:
        worker.terminate()
        status = worker.wait(GRACE)
        if not signals:
            raise  # the sweep was stopped
    if was_taken_down(status):
        os._exit(1)  # Ray takes the process for lost, and tries the task again
    return status


def room(node: Mapping[str, float], options: Mapping[str, Any]) -> int:
    """How many tasks with these options a node with these resources has room for.

    >>> room({"CPU": 8.0, "GPU": 2.0}, {"num_cpus": 2, "num_gpus": 1})
    2
    """
    needs = {
        "CPU": options.get("num_cpus", 1),
        "GPU": options.get("num_gpus", 0),
        "memory": options.get("memory", 0),
        **(options.get("resources") or {}),
    }
    asked = {name: need for name, need in needs.items() if need}
    return min((int(node.get(name, 0.0) / need) for name, need in asked.items()), default=1)


def _knock(address: str) -> None:
    """Refuse an address where nobody listens; ``ray.init`` would try for ever."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host.rpartition("/")[2], int(port)), timeout=_KNOCK).close()
    except OSError as error:
        raise AsdError(
            f"hydra.launcher.init.address={address}: no Ray there ({error.strerror or error}); "
            "start it by `ray start --head --port=PORT`, or leave the address out"
        ) from error


def _ray() -> Any:
    """Ray, which takes a second to import and is an extra.

    Raises:
        AsdError: it is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise AsdError("hydra/launcher=ray needs Ray: pip install -e '.[ray]'") from error
    return ray


def _line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__
