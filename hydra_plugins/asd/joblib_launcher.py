"""``hydra/launcher=joblib``: workers on this machine, which share its cores and GPUs."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from asd.cores import cores, share
from asd.options import check_number, check_whole
from asd.sweeps.workers import GRACE, WorkerLauncher, start_script


class JoblibLauncher(WorkerLauncher):
    """Workers on this machine; its options are those of ``conf/hydra/launcher/joblib.yaml``."""

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

    def shares(self) -> list[dict[str, str]]:
        """The machine divided: the environment of each worker.

        Raises:
            AsdError: an option cannot be used.
        """
        import psutil

        for name in ("n_jobs", "threads", "jobs_per_gpu", "attempts"):
            value = getattr(self, name)
            if value is not None or name in ("jobs_per_gpu", "attempts"):
                check_whole(f"hydra.launcher.{name}", value, 1)
        check_number("hydra.launcher.memory_gb", self.memory_gb, 0, above=True)
        slots = visible_gpus() * self.jobs_per_gpu
        room = int(psutil.virtual_memory().total / (self.memory_gb * 2**30))
        count = self.n_jobs or len(slots) or max(1, min(cores(), room))
        common = share(self.threads or max(1, cores() // count), count)
        if not slots:
            return [common] * count
        return [{**common, "CUDA_VISIBLE_DEVICES": slots[i % len(slots)]} for i in range(count)]

    def start(self, most: int) -> dict[Path, subprocess.Popen[bytes]]:
        """See ``WorkerLauncher.start``."""
        workers = {}
        for number, variables in enumerate(self.shares()[:most]):
            log_file = self.folder / f"worker{number}.log"
            environment = {**variables, **self.environment(number)}
            workers[log_file] = start_script(self.script(most), log_file, environment)
        return workers

    def status(self, worker: subprocess.Popen[bytes]) -> int | None:
        """See ``WorkerLauncher.status``."""
        return worker.poll()

    def stop(self, workers: list[subprocess.Popen[bytes]]) -> None:
        """SIGTERM, so that each closes its run, and force where that fails."""
        for worker in workers:
            worker.terminate()
        for worker in workers:
            with suppress(subprocess.TimeoutExpired):
                worker.wait(GRACE)
            with suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)


def visible_gpus() -> list[str]:
    """Names of the GPUs that this process may use, without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name and name != "-1"]
    query = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return []
