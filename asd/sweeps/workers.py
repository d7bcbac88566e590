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
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from asd.cores import cores, share
from asd.options import check_number, check_whole
from asd.sweeps.attempts import sweep_start

log = logging.getLogger(__name__)

#: Seconds that stopped runs get to close their files.
GRACE = 60.0


def is_worker() -> bool:
    """Whether this process was started by a launcher of ours to work on a sweep."""
    return "ASD_WORKER" in os.environ


class WorkerLauncher(ABC):
    """Starts workers.

    Args:
        attempts: how often a cell is tried that takes its worker down.
    """

    def __init__(self, attempts: int) -> None:
        self.attempts = attempts
        #: Set by who watches when nothing is left to do or to wait for.
        self.is_over = False

    def prepare(self, program: str, runs: Path) -> None:
        """Say which module the workers run; their logs go into a folder below that of the runs."""
        self.program = program
        self.sweep = sweep_start()
        self.folder = runs.absolute() / ".workers" / self.sweep

    def work(self, watch: Callable[[], bool], most: int) -> None:
        """Start workers and return when all have ended. One that was taken down is replaced.

        Args:
            watch: called about every second, for displays; whether work is left.
            most: no more workers than that.

        Raises:
            AsdError: an option cannot be used.
            KeyboardInterrupt: stopped; the workers have been told, and have closed their runs.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        restarts = self.attempts * most
        workers = self.start(range(most))
        try:
            while workers and not self.is_over:
                time.sleep(1.0)
                left = watch()
                for number, worker in list(workers.items()):
                    if (status := self.status(worker)) is None:
                        continue
                    del workers[number]
                    if status:
                        log.warning("worker %s: %s; %s", number, status, self.log_file(number))
                    if isinstance(status, int) and status < 0 and left and restarts > 0:
                        restarts -= 1
                        workers |= self.start([number])
        finally:
            self.stop(list(workers.values()))

    @abstractmethod
    def start(self, numbers: Sequence[int]) -> dict[Any, Any]:
        """Start workers of these numbers, if there is room; gives them by what names their logs."""

    def status(self, worker: Any) -> int | str | None:
        """How one has ended: 0 well, below 0 by a signal, else in words; None: not yet."""
        status: int | None = worker.poll()
        return status

    def stop(self, workers: list[Any]) -> None:
        """The sweep is over or stopped, and these have not ended: let each close its run."""
        for worker in workers:
            worker.terminate()
        for worker in workers:
            with suppress(subprocess.TimeoutExpired):
                worker.wait(GRACE)
            with suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)

    def command(self) -> list[str]:
        """What a worker runs: this command line, one run after another in its own process."""
        ours = ("hydra/launcher=", "hydra.launcher.")
        arguments = [a for a in sys.argv[1:] if not a.lstrip("+~").startswith(ours)]
        return [sys.executable, "-m", self.program, *arguments, "hydra/launcher=sequential"]

    def environment(self, number: int | str) -> dict[str, str]:
        """What makes a process the worker of this number (``asd.sweeps.attempts.WorkerRole``)."""
        return {"ASD_WORKER": f"{self.sweep} {self.attempts} {number}"}

    def log_file(self, number: int | str) -> Path:
        """What a worker prints."""
        return self.folder / f"worker-{number}.log"


def start_process(
    command: Sequence[str], log_file: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Run a worker in a process that, on Linux, the system stops if this one dies.

    It has a session of its own: the terminal's Ctrl-C is for the sweep, which passes it on once.
    """
    bound = ["setpriv", "--pdeathsig=TERM"] if shutil.which("setpriv") else []
    with log_file.open("ab") as output:
        return subprocess.Popen(
            [*bound, *command], env={**os.environ, **environment}, stdout=output,
            stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip


class JoblibLauncher(WorkerLauncher):
    """Workers on this machine, which share its cores and GPUs (``hydra/launcher=joblib``).

    Its options: ``conf/hydra/launcher/joblib.yaml``.
    """

    def __init__(self, memory_gb: float, **counts: int | None) -> None:
        check_number("hydra.launcher.memory_gb", memory_gb, 0, above=True)
        for name, count in counts.items():
            if count is not None or name not in ("n_jobs", "threads"):
                check_whole(f"hydra.launcher.{name}", count, 1)
        super().__init__(counts["attempts"] or 1)
        self.memory_gb = memory_gb
        self.counts = counts

    def shares(self) -> list[dict[str, str]]:
        """The machine divided: the environment of each worker."""
        import psutil

        slots = visible_gpus() * (self.counts["jobs_per_gpu"] or 1)
        fitting = int(psutil.virtual_memory().total / (self.memory_gb * 2**30))
        count = self.counts["n_jobs"] or len(slots) or max(1, min(cores(), fitting))
        common = share(self.counts["threads"] or max(1, cores() // count), count)
        if not slots:
            return [common] * count
        return [{**common, "CUDA_VISIBLE_DEVICES": slots[i % len(slots)]} for i in range(count)]

    def start(self, numbers: Sequence[int]) -> dict[int, subprocess.Popen[bytes]]:
        """See ``WorkerLauncher.start``."""
        workers, command, shares = {}, self.command(), self.shares()
        for i in numbers[: len(shares)]:
            variables = {**shares[i], **self.environment(i)}
            workers[i] = start_process(command, self.log_file(i), variables)
        return workers


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
