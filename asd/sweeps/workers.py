"""Workers: processes that each run a sweep's own command, so that several cells train at once.

Nobody deals out cells. A worker goes through all of them: what is finished or in another's hands it
leaves, the rest it trains or resumes. A run's identity, its lock and its folder say which is which;
so a worker may be lost, started twice, or come late, on this machine or another.
"""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from asd.errors import AsdError

log = logging.getLogger(__name__)

#: Seconds that stopped runs get to close their files.
GRACE = 60.0
# Another worker takes the place of one that was taken down (status from 128: by a signal), unless
# that was told to go: by TERM, or by Slurm's USR2 when the job's time is nearly up.
_SCRIPT = """\
trap 'stop=1; kill -TERM $worker' TERM
trap 'stop=1; time_up=1; kill -TERM $worker' USR2
for ((start = 0; start < {starts}; start++)); do
    ASD_WORKER_STARTS=$start {command} &
    worker=$!
    wait $worker; status=$?
    while kill -0 $worker 2> /dev/null; do wait $worker; status=$?; done
    if [ -n "$stop" ] || [ $status -lt 128 ]; then break; fi
    echo "the worker was taken down (status $status); another takes its place"
done
"""


def is_worker() -> bool:
    """Whether this process was started by a launcher of ours to work on a sweep."""
    return "ASD_WORKER" in os.environ


class WorkerLauncher(Launcher):
    """Starts workers.

    Args:
        attempts: how often a cell is tried that takes its worker down.
    """

    def __init__(self, attempts: int) -> None:
        self.attempts = attempts
        #: Set by who watches when nothing is left to do or to wait for.
        self.is_over = False

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Hydra's: which program the workers run, and where they log."""
        self.program = task_function.__module__
        if self.program == "__main__" and (spec := sys.modules["__main__"].__spec__) is not None:
            self.program = spec.name
        #: Names this start of the sweep.
        self.sweep = f"{time.strftime('%Y%m%d-%H%M%S')}-{socket.gethostname()}-{os.getpid()}"
        self.folder = Path(str(config.hydra.sweep.dir)).absolute() / ".workers" / self.sweep

    def work(self, watch: Callable[[], bool], most: int | None = None) -> None:
        """Start workers, each this program's own command line, and return when all have ended.

        Args:
            watch: called about every second, for displays; whether work is left.
            most: no more workers than that; None: as many as there is room for.

        Raises:
            AsdError: an option cannot be used.
            KeyboardInterrupt: stopped; the workers have been told, and have closed their runs.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        workers = self.start(most or sys.maxsize)
        try:
            while workers and not self.is_over:
                time.sleep(1.0)
                watch()
                for log_file, worker in list(workers.items()):
                    if (status := self.status(worker)) is not None:
                        del workers[log_file]
                        warn_of_status(log_file, status)
        finally:
            self.stop(list(workers.values()))

    @abstractmethod
    def start(self, most: int) -> dict[Path, Any]:
        """Start as many workers as there is room for; gives, by their logs, what they are."""

    @abstractmethod
    def status(self, worker: Any) -> int | str | None:
        """How a worker has ended: 0 well, else an exit status or in words; None: not yet."""

    @abstractmethod
    def stop(self, workers: list[Any]) -> None:
        """The sweep is over, or its own process goes; these workers have not ended."""

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Hydra's way to launch, for which workers are not made; an ``AsdError``."""
        raise AsdError("hydra/launcher: workers are for hydra/sweeper=grid and optuna")

    def command(self) -> str:
        """What a worker runs: this command line, one run after another in its own process."""
        ours = ("hydra/launcher=", "hydra.launcher.")
        arguments = [a for a in sys.argv[1:] if not a.lstrip("+~").startswith(ours)]
        worker = [sys.executable, "-m", self.program, *arguments, "hydra/launcher=sequential"]
        return shlex.join(worker)

    def script(self, most: int) -> str:
        """Shell lines that run a worker, and another in its place as long as that may help."""
        return _SCRIPT.format(starts=1 + self.attempts * most, command=self.command())

    def environment(self, number: int | str) -> dict[str, str]:
        """What makes a process the worker of this number (``asd.sweeps.attempts.WorkerRole``)."""
        return {"ASD_WORKER": f"{self.sweep} {self.attempts} {number}"}


def start_script(
    script: str, log_file: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Run shell lines in a process that, on Linux, the system stops if this one dies.

    It has a session of its own: the terminal's Ctrl-C is for the sweep, which passes it on once.
    """
    bound = ["setpriv", "--pdeathsig=TERM"] if shutil.which("setpriv") else []
    with log_file.open("ab") as output:
        return subprocess.Popen(
            [*bound, "bash", "-c", script], env={**os.environ, **environment}, stdout=output,
            stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip


def warn_of_status(log_file: Path, status: int | str) -> None:
    """Say that a worker has not ended well, and the end of its log."""
    if status:
        lines = log_file.read_text(errors="replace").splitlines()[-5:] if log_file.exists() else []
        text = f"{log_file.stem} ended: {status}; its log: {log_file}"
        log.warning("%s", "\n  ".join([text, *lines]))
