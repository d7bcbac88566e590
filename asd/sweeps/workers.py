"""Workers: processes that each run a sweep's own command, so that several cells train at once.

Nobody deals out cells. A worker goes through all of them: what is finished or in another's hands it
leaves, the rest it trains or resumes. A run's identity, its lock and its folder say which is which;
so a worker may be lost, started twice, or come late, on this machine or another.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

from asd.cores import BESIDE_OTHERS, cores, share, visible_gpus
from asd.options import check_number, check_whole
from asd.sweeps.cells import ATTEMPTS, sweep_start
from asd.sweeps.display import PERIOD, Display

log = logging.getLogger(__name__)

#: Seconds that stopped runs get to close their files.
GRACE = 60.0


def is_worker() -> bool:
    """Whether this process was started by a launcher of ours to work on a sweep."""
    return "ASD_WORKER" in os.environ


class WorkerLauncher(ABC):
    """Starts workers."""

    def prepare(self, command: list[str], runs: Path) -> None:
        """Say what the workers run; their logs go into a folder below that of the runs."""
        self.command = command
        self.sweep = sweep_start()
        self.folder = runs.absolute() / ".workers" / self.sweep

    def work(self, display: Display, most: int) -> None:
        """Start so many workers at most, and return when all have ended.

        One that was taken down is replaced.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        restarts = ATTEMPTS * most
        workers = self.start(range(most))
        try:
            while workers and display.open:
                time.sleep(PERIOD)
                display.glance()
                for number, worker in list(workers.items()):
                    if (status := self.status(worker)) is None:
                        continue
                    del workers[number]
                    if status:
                        log.warning("worker %s: %d; %s", number, status, self.log_file(number))
                    if status < 0 and display.left and restarts > 0:
                        restarts -= 1
                        workers |= self.start([number])
        finally:
            self.stop(list(workers.values()), over=not display.open)
            display.glance()
            if display.open:
                display.say(f"not all have ended; the workers' logs: {self.folder}")
            else:
                shutil.rmtree(self.folder, ignore_errors=True)

    @abstractmethod
    def start(self, numbers: Sequence[int]) -> dict[Any, Any]:
        """Start workers of these numbers, if there is room; gives them by what names their logs."""

    def status(self, worker: Any) -> int | None:
        """How one has ended: 0 well, or not known; below 0 by a signal; None: not yet."""
        status: int | None = worker.poll()
        return status

    def stop(self, workers: list[Any], over: bool) -> None:
        """The sweep is over, or was stopped, and these have not ended: let each close its run."""
        for worker in workers:
            worker.terminate()
        for worker in workers:
            with suppress(subprocess.TimeoutExpired):
                worker.wait(GRACE)
            # Windows has no groups of processes, and terminate() kills there.
            with suppress(ProcessLookupError, AttributeError):
                os.killpg(worker.pid, signal.SIGKILL)

    def environment(self, number: int | str) -> dict[str, str]:
        """What makes a process a worker of this sweep, and says which of its cells is its first."""
        return {"ASD_WORKER": self.sweep, "ASD_WORKER_NUMBER": str(number)}

    def log_file(self, number: int | str) -> Path:
        """What a worker prints."""
        return self.folder / f"worker-{number}.log"


def work(display: Display, launcher: WorkerLauncher | None, here: Callable[[], None]) -> None:
    """Have the open cells of a sweep trained: by workers or, without a launcher, by ``here()``."""
    if launcher is not None:
        launcher.work(display, len(display.open))
        return
    over = Event()

    def look() -> None:
        while not over.wait(PERIOD):
            display.glance()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(look)
        try:
            here()
        finally:
            over.set()
    display.look()


class JoblibLauncher(WorkerLauncher):
    """Workers that share this machine's cores and GPUs: ``conf/hydra/launcher/joblib.yaml``."""

    def __init__(self, memory_gb: float, jobs_per_gpu: int, **counts: int | None) -> None:
        check_number("hydra.launcher.memory_gb", memory_gb, 0, above=True)
        check_whole("hydra.launcher.jobs_per_gpu", jobs_per_gpu, 1)
        for name, count in counts.items():
            if count is not None:
                check_whole(f"hydra.launcher.{name}", count, 1)
        self.memory_gb = memory_gb
        self.jobs_per_gpu = jobs_per_gpu
        self.counts = counts

    def shares(self) -> list[dict[str, str]]:
        """The machine divided: the environment of each worker."""
        import psutil

        slots = visible_gpus() * self.jobs_per_gpu
        fitting = int(psutil.virtual_memory().total / (self.memory_gb * 2**30))
        count = self.counts["n_jobs"] or len(slots) or max(1, min(cores(), fitting))
        common = share(self.counts["threads"] or max(1, cores() // count))
        if count > 1:
            common[BESIDE_OTHERS] = "1"
        if not slots:
            return [common] * count
        return [{**common, "CUDA_VISIBLE_DEVICES": slots[i % len(slots)]} for i in range(count)]

    def start(self, numbers: Sequence[int]) -> dict[int, subprocess.Popen[bytes]]:
        """See ``WorkerLauncher.start``. On Linux the system stops them if this process dies.

        Each has a session of its own: Ctrl-C is for the sweep, which passes it on once.
        """
        workers, shares = {}, self.shares()
        bound = ["setpriv", "--pdeathsig=TERM"] if shutil.which("setpriv") else []
        for i in numbers[: len(shares)]:
            variables = {**os.environ, **shares[i], **self.environment(i)}
            with self.log_file(i).open("ab") as output:
                workers[i] = subprocess.Popen(
                    [*bound, *self.command], env=variables, stdout=output,
                    stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip
        return workers
