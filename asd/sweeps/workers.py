"""Workers: processes that each run a sweep's own command, so that several cells train at once.

Nobody deals out cells. A worker goes through all of them: what is finished or in another's hands it
leaves, the rest it trains or resumes. A run's identity, its lock and its folder say which is which;
so a worker may be lost, started twice, or come late, on this machine or another.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import sys
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from asd.errors import AsdError

log = logging.getLogger(__name__)

_FOLDER, _ATTEMPTS = "ASD_WORKER", "ASD_WORKER_ATTEMPTS"
#: Seconds between two looks at workers.
GLANCE = 1.0
#: Seconds that stopped runs get to close their files.
GRACE = 60.0


def is_worker() -> bool:
    """Whether this process was started by a launcher of ours to work on a sweep."""
    return _FOLDER in os.environ


def worker_folder() -> Path:
    """Where the workers of the sweep that this one works on keep what they share."""
    return Path(os.environ[_FOLDER])


def worker_attempts() -> int:
    """How often a cell may take its worker down before it is a failed one."""
    return int(os.environ[_ATTEMPTS])


class WorkerLauncher(Launcher):
    """Starts workers.

    Args:
        attempts: how often a cell is tried that takes its worker down.
    """

    def __init__(self, attempts: int) -> None:
        self.attempts = attempts

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Hydra's: which program the workers run, and where they may keep things."""
        module = task_function.__module__
        if module == "__main__" and (spec := sys.modules["__main__"].__spec__) is not None:
            module = spec.name
        self.program = module
        start = f"{time.strftime('%Y%m%d-%H%M%S')}-{socket.gethostname()}-{os.getpid()}"
        #: What the workers of this start of the sweep share: claims and logs.
        self.folder = Path(str(config.hydra.sweep.dir)).absolute() / ".workers" / start

    @abstractmethod
    def work(self, watch: Callable[[], bool], most: int | None = None) -> None:
        """Start workers, each this program's own command line, and return when all have ended.

        Args:
            watch: called about every second, for displays; whether work is left that a replacement
                for a dead worker could do.
            most: no more workers than that; None: as many as there is room for.

        Raises:
            AsdError: an option cannot be used.
            KeyboardInterrupt: stopped; the workers have been told, and have closed their runs.
        """

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Hydra's way to launch, for which workers are not made.

        Raises:
            AsdError: always.
        """
        raise AsdError(
            f"hydra/launcher: {type(self).__name__} starts workers, which hydra/sweeper=grid and "
            "optuna know"
        )

    def command(self) -> list[str]:
        """What a worker runs: this command line, one run after another in its own process."""
        ours = ("hydra/launcher=", "hydra.launcher.")
        arguments = [a for a in sys.argv[1:] if not a.lstrip("+~").startswith(ours)]
        worker = [sys.executable, "-m", "asd.sweeps.worker_process", self.program]
        return [*worker, *arguments, "hydra/launcher=sequential"]

    def environment(self) -> dict[str, str]:
        """What makes a process one of this sweep's workers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return {_FOLDER: str(self.folder), _ATTEMPTS: str(self.attempts)}

    def finish(self) -> None:
        """The sweep is through; what its workers kept is of no more use."""
        shutil.rmtree(self.folder, ignore_errors=True)


def was_taken_down(status: int) -> bool:
    """Whether a signal ended a process with this status, as a number or as shells say it."""
    return status < 0 or status >= 128


def last_lines(path: Path, count: int = 5) -> str:
    """The end of a worker's log, indented; empty if there is none."""
    lines: list[Any] = []
    if path.exists():
        lines = path.read_text(errors="replace").rstrip().splitlines()[-count:]
    return "".join(f"\n  {line}" for line in lines)
