"""What a scheduler's job runs: a run that closes when it is told to go, and goes on when requeued.

Slurm says SIGTERM when it takes the machine (pre-emption, requeue, cancel) and kills after
``KillWait`` seconds; submitit has it say SIGUSR2 some time before the job's time limit.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn

from asd.signals import stopped_by


@dataclass(frozen=True)
class QueuedRun:
    """A run as submitit's function: called in the job.

    Args:
        packet: the run; gives its result.
        folder: that the sweep was started in; relative paths mean the same here.
    """

    packet: Callable[[], JobReturn]
    folder: str

    def __call__(self) -> JobReturn:
        """Run, or go on where the run's folder says that it stands.

        Raises:
            SystemExit: told to go; the run is closed, and requeued if its time was up.
        """
        from submitit import JobEnvironment

        here = JobEnvironment()
        os.environ["ASD_PLACE"] = f"{here.name()} job {here.job_id} on {socket.gethostname()}"
        os.chdir(self.folder)
        stopped = mark_of_sigterm(here.paths.folder, here.job_id)
        stopped.unlink(missing_ok=True)
        time_up = signal.Signals[f"SIG{here.USR_SIG}"]
        requeue: Any = signal.getsignal(time_up)
        told: list[int] = []
        try:
            with stopped_by(signal.SIGTERM, time_up) as told:
                return self.packet()
        except (KeyboardInterrupt, SystemExit):
            if time_up in told:
                # Only now that the run is closed: submitit counts the time-outs, requeues, exits.
                requeue(time_up, None)
            with suppress(OSError):
                stopped.touch()
            raise SystemExit(128 + signal.SIGTERM) from None

    def checkpoint(self) -> Any:
        """submitit's: what a requeued job is to do. The run's folder knows the rest."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def mark_of_sigterm(folder: Path, job_id: str) -> Path:
    """A file that says that this job closed because of SIGTERM."""
    return folder / f"{job_id}_stopped"
