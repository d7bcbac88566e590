"""Several workers on this machine, each with its share of the cores and, where there are, a GPU."""

from __future__ import annotations

import logging
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from asd.cores import cores, share
from asd.options import check_number, check_whole
from asd.sweeps.worker_process import PARENT
from asd.sweeps.workers import GLANCE, GRACE, WorkerLauncher, last_lines, was_taken_down

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MachineShares:
    """How many workers, and what each may use.

    Args:
        count: workers.
        threads: of each.
        gpus: the GPU of each worker, as ``CUDA_VISIBLE_DEVICES`` names it; empty: none.
    """

    count: int
    threads: int
    gpus: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, n_jobs: int | None, jobs_per_gpu: int, threads: int | None, memory_gb: float
    ) -> MachineShares:
        """Divide this machine: see ``conf/hydra/launcher/joblib.yaml``.

        Raises:
            AsdError: an option cannot be used.
        """
        import psutil

        for name, value in (("n_jobs", n_jobs), ("threads", threads)):
            if value is not None:
                check_whole(f"hydra.launcher.{name}", value, 1)
        check_whole("hydra.launcher.jobs_per_gpu", jobs_per_gpu, 1)
        check_number("hydra.launcher.memory_gb", memory_gb, 0, above=True)
        slots = visible_gpus() * jobs_per_gpu
        room = int(psutil.virtual_memory().total / (memory_gb * 2**30))
        count = n_jobs or len(slots) or max(1, min(cores(), room))
        gpus = tuple(slots[i % len(slots)] for i in range(count)) if slots else ()
        return cls(count, threads or max(1, cores() // count), gpus)


def visible_gpus() -> list[str]:
    """Names of the GPUs that this process may use, without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name and name != "-1"]
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True, text=True, check=True, timeout=30,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return []
    return listed.stdout.split()


class LocalWorkers(WorkerLauncher):
    """Several workers on this machine.

    Args:
        n_jobs: workers; None: by the machine's GPUs, or without one by its cores and memory.
        memory_gb: of the machine that each should have, where ``n_jobs`` is None.
        jobs_per_gpu: workers that share a GPU.
        threads: of each; None: the cores divided among them.
        attempts: how often a run that took its worker down is tried.
    """

    def __init__(
        self,
        n_jobs: int | None,
        memory_gb: float,
        jobs_per_gpu: int,
        threads: int | None,
        attempts: int,
    ) -> None:
        super().__init__(attempts)
        self.n_jobs = n_jobs
        self.memory_gb = memory_gb
        self.jobs_per_gpu = jobs_per_gpu
        self.threads = threads

    def work(self, watch: Callable[[], bool], most: int | None = None) -> None:
        """See ``WorkerLauncher.work``."""
        machine = MachineShares.of(self.n_jobs, self.jobs_per_gpu, self.threads, self.memory_gb)
        count = min(machine.count, most or machine.count)
        replacements = self.attempts * (most or count)
        running = {place: self._start(place, machine) for place in range(count)}
        try:
            while running:
                time.sleep(GLANCE)
                left = watch()
                for place, process in list(running.items()):
                    status = process.poll()
                    if status is None:
                        continue
                    del running[place]
                    if status:
                        self._tell(place, status)
                    if was_taken_down(status) and left and replacements > 0:
                        replacements -= 1
                        running[place] = self._start(place, machine)
        finally:
            _stop(list(running.values()))

    def _start(self, place: int, machine: MachineShares) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            **share(machine.threads, machine.count),
            **self.environment(),
            PARENT: str(os.getpid()),
        }
        if machine.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = machine.gpus[place]
        with (self.folder / f"worker{place}.log").open("ab") as output:
            # A session of its own: the terminal's Ctrl-C is for the sweep, which passes it on once.
            return subprocess.Popen(
                self.command(), env=environment, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def _tell(self, place: int, status: int) -> None:
        path = self.folder / f"worker{place}.log"
        how = f"signal {-status}" if status < 0 else f"status {status}"
        log.warning("worker %d ended by %s; its log: %s%s", place, how, path, last_lines(path))


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """End workers: SIGTERM, so that each closes its run, and force where that fails."""
    for process in processes:
        process.terminate()
    until = time.monotonic() + GRACE
    for process in processes:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
