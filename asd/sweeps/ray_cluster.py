"""Runs as tasks of a Ray cluster, as many at once as its nodes have room for.

Ray tries a task again whose worker or node is lost, and the run goes on from its folder. A worker
process trains many runs.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn

from asd.errors import AsdError
from asd.signals import stopped_by
from asd.sweeps.launching import Job, JobFailedError, Packet, failed, failure

log = logging.getLogger(__name__)

# Seconds between two looks at how much room there is: nodes come and go.
_GLANCE = 5.0
# Seconds that stopped runs get to close their files.
_GRACE = 60.0
# Seconds that a cluster's head may take to answer.
_KNOCK = 10.0
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class RayCluster:
    """A connection to Ray.

    Args:
        init: options of ``ray.init``; None: left out.
        remote: options of ``ray.remote``; None: left out. Without ``num_gpus`` a run has one GPU
            where a node of the cluster has one.
        parallelism: runs at once; None: as many as there is room for.

    Raises:
        AsdError: Ray is not installed, there is no such cluster, or no node has room for a run.
    """

    def __init__(
        self, init: Mapping[str, Any], remote: Mapping[str, Any], parallelism: int | None
    ) -> None:
        ray = _ray()
        given = {name: value for name, value in init.items() if value is not None}
        _knock(given.get("address") or os.environ.get("RAY_ADDRESS", ""))
        handler = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(**given)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise AsdError(
                f"hydra.launcher.init: Ray does not start: {_line(error)} (docs/scaling.md)"
            ) from error
        finally:
            signal.signal(signal.SIGTERM, handler)  # Ray's would end this process on the spot
        self._options = {name: value for name, value in remote.items() if value is not None}
        if "num_gpus" not in self._options and ray.cluster_resources().get("GPU", 0):
            self._options["num_gpus"] = 1
        self._parallelism = parallelism
        if self.places() < 1:
            ray.shutdown()
            raise AsdError(
                f"hydra.launcher.remote: no node of the cluster has room for {self._options}; "
                "with an autoscaler set hydra.launcher.parallelism"
            )
        threads = max(1, int(self._options.get("num_cpus", 1)))
        environment = dict(self._options.pop("runtime_env", None) or {})
        environment["env_vars"] = {
            **dict.fromkeys(_THREAD_VARIABLES, str(threads)),
            "OMP_WAIT_POLICY": "passive",
            **environment.get("env_vars", {}),
        }
        self._task = ray.remote(run_in_worker).options(
            **self._options, runtime_env=environment, name="asd"
        )

    def places(self) -> int:
        """How many runs there is room for, on the nodes that are there at the moment."""
        if self._parallelism is not None:
            return self._parallelism
        alive = [node["Resources"] for node in _ray().nodes() if node["Alive"]]
        return sum(room(node, self._options) for node in alive)

    def start(self, packet: Packet) -> Any:
        """Hand a run to the cluster; gives Ray's reference to its result."""
        return self._task.remote(packet, str(Path.cwd()))

    def stop(self, references: list[Any]) -> None:
        """Tell runs to stop, and wait while they close."""
        ray = _ray()
        for reference in references:
            with suppress(Exception):
                ray.cancel(reference)
        if references:
            ray.wait(references, num_returns=len(references), timeout=_GRACE)
        ray.shutdown()


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


def run_on_ray(
    jobs: Iterable[Job], packet: Callable[[Job], Packet], cluster: RayCluster
) -> Iterator[tuple[int, JobReturn]]:
    """Run jobs, taking the next one when the cluster has room for it.

    Yields:
        (number, result) as they end.

    Raises:
        KeyboardInterrupt: stopped; the runs have been told, and have closed.
    """
    ray = _ray()
    waiting, exhausted = iter(jobs), False
    running: dict[Any, Job] = {}
    try:
        while True:
            while not exhausted and len(running) < max(1, cluster.places()):
                job = next(waiting, None)
                if job is None:
                    exhausted = True
                    break
                running[cluster.start(packet(job))] = job
            if not running:
                break
            ready, _ = ray.wait(list(running), num_returns=1, timeout=_GLANCE)
            for reference in ready:
                yield running.pop(reference).number, _result(reference)
    finally:
        cluster.stop(list(running))


def _result(reference: Any) -> JobReturn:
    ray = _ray()
    try:
        result: JobReturn = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        return failure(error.cause if isinstance(error.cause, Exception) else error)
    except ray.exceptions.RayError as error:
        return failed(
            f"Ray gave it up: {type(error).__name__}: {_line(error)} (Ray's own logs: "
            "session_latest/logs in the --temp-dir of the node)",
            str(error),
        )
    return result


def run_in_worker(packet: Callable[[], JobReturn], folder: str) -> JobReturn:
    """The task.

    Args:
        packet: the run.
        folder: that the sweep was started in; relative paths mean the same here.

    Raises:
        JobFailedError: the folder is not there.
        KeyboardInterrupt: the sweep was stopped; the run is closed.
    """
    node, host = _ray().get_runtime_context().get_node_id(), socket.gethostname()
    os.environ["ASD_PLACE"] = f"ray node {node} on {host}"
    try:
        os.chdir(folder)
    except OSError as error:
        raise JobFailedError(
            f"{folder} is not on node {host}: all nodes must share the folder that a sweep is "
            "started in"
        ) from error
    try:
        with stopped_by(signal.SIGTERM):
            return packet()
    except (KeyboardInterrupt, SystemExit) as told:
        if told.args == (128 + signal.SIGINT,):
            raise KeyboardInterrupt from None  # the sweep was stopped; Ray calls it cancelled
        # The node goes. Ray takes the process for lost, and tries the run again elsewhere.
        os._exit(128 + signal.SIGTERM)


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
