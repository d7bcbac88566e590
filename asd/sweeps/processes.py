"""Several runs at once on one machine, by joblib's process pool (loky).

A process imports torch and MLflow once and trains many runs. It has its share of the cores and,
where there are GPUs, one of them.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Any

import psutil
from hydra.core.utils import JobReturn

from asd.cores import cores, share
from asd.errors import AsdError
from asd.sweeps.launching import Job, JobFailedError, Packet, failure

log = logging.getLogger(__name__)

# Seconds between two looks of a process at whether the sweep's own is still there.
_GUARD = 1.0
# Seconds that stopped runs get to close their files.
_GRACE = 60.0


@dataclass(frozen=True)
class Places:
    """How many processes, and what each may use.

    Args:
        count: processes.
        threads: of each.
        gpus: the GPU of each process, as ``CUDA_VISIBLE_DEVICES`` names it; empty: none.
    """

    count: int
    threads: int
    gpus: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, n_jobs: int | None, jobs_per_gpu: int, threads: int | None, memory_gb: float
    ) -> Places:
        """Divide this machine: see ``conf/hydra/launcher/joblib.yaml``.

        Raises:
            AsdError: an option cannot be used.
        """
        for name, value in (
            ("n_jobs", n_jobs),
            ("jobs_per_gpu", jobs_per_gpu),
            ("threads", threads),
        ):
            whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
            if not whole and not (value is None and name != "jobs_per_gpu"):
                raise AsdError(f"hydra.launcher.{name}={value}: must be a whole number from 1")
        if not memory_gb > 0:
            raise AsdError(f"hydra.launcher.memory_gb={memory_gb}: must be more than 0")
        devices = visible_gpus()
        slots = [gpu for _ in range(jobs_per_gpu) for gpu in devices]
        room = (
            int(psutil.virtual_memory().total / (memory_gb * 2**30)) if memory_gb > 0 else cores()
        )
        count = n_jobs or len(slots) or max(1, min(cores(), room))
        gpus = tuple(slots[i % len(slots)] for i in range(count)) if slots else ()
        return cls(count, threads or max(1, cores() // count), gpus)


def visible_gpus() -> list[str]:
    """Names of the GPUs that this process may use, without importing torch."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name for name in given.split(",") if name and name != "-1"]
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True, text=True, check=True, timeout=30,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return []
    return listed.stdout.split()


def run_in_processes(
    jobs: Iterable[Job], packet: Callable[[Job], Packet], places: Places, attempts: int
) -> Iterator[tuple[int, JobReturn]]:
    """Run jobs, each in one of several processes.

    Every place is a pool of one process, so that a process that dies (killed for its memory, say)
    takes only its own job along. That is tried again, and after so many attempts a failed one.

    Yields:
        (number, result) as they end.

    Raises:
        KeyboardInterrupt: stopped; the processes have been told, and have closed their runs.
    """
    from joblib.externals.loky.process_executor import BrokenProcessPool

    waiting = iter(jobs)
    deaths: Counter[int] = Counter()
    pools = [_pool(places, number) for number in range(places.count)]
    free = list(range(places.count))
    running: dict[Future[JobReturn], tuple[Job, int]] = {}
    try:
        while True:
            while free and (job := next(waiting, None)) is not None:
                place = free.pop(0)
                running[pools[place].submit(work, packet(job))] = job, place
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job, place = running.pop(future)
                error = future.exception()
                if isinstance(error, BrokenProcessPool):
                    deaths[job.number] += 1
                    pools[place] = _pool(places, place)
                    if deaths[job.number] < attempts:
                        running[pools[place].submit(work, packet(job))] = job, place
                        continue
                    times = "" if attempts == 1 else f" {attempts} times"
                    error = JobFailedError(f"its process died{times} (out of memory?)", str(error))
                free.append(place)
                yield job.number, future.result() if error is None else failure(error)
    except BaseException:
        _stop(pools)
        raise
    for pool in pools:
        pool.shutdown(wait=True)


def _pool(places: Places, number: int) -> Any:
    from joblib.externals.loky import ProcessPoolExecutor

    return ProcessPoolExecutor(1, initializer=enter, initargs=(places, number, os.getpid()))


def enter(places: Places, number: int, parent: int) -> None:
    """Make a process ready, before torch is imported in it.

    Args:
        places: that there are.
        number: of its place.
        parent: the sweep's process, which this one must not outlive.
    """
    share(places.threads, places.count)
    if places.gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = places.gpus[number]
    # The terminal's Ctrl-C goes to all; the sweep's process passes it on, once, as SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_guard, args=(parent,), daemon=True).start()


def work(packet: Packet) -> JobReturn:
    """Run a job in a process of the pool; being told to stop ends the process too."""
    try:
        return packet()
    except SystemExit as stopped:
        os._exit(stopped.code if isinstance(stopped.code, int) else 1)


def _guard(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_GUARD)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE)
    os._exit(1)


def _stop(pools: list[Any]) -> None:
    """End the processes: SIGTERM, so that each closes its run, and force where that fails."""
    processes = [p for pool in pools for p in list((pool._processes or {}).values())]
    for process in processes:
        if process.is_alive():
            os.kill(process.pid, signal.SIGTERM)
    until = time.monotonic() + _GRACE
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
    for pool in pools:
        pool.shutdown(wait=False, kill_workers=True)
