"""submitit's processes on this machine: what a Slurm job would do, without Slurm.

For trying things out. For work on one machine ``hydra/launcher=joblib`` is better: its processes
import torch once and train many runs.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from asd.errors import AsdError
from asd.sweeps.in_queue import QueuedRun
from asd.sweeps.launching import Packet

# Seconds that stopped runs get to close their files.
_GRACE = 60.0
_GLANCE = 0.2


class LocalQueue:
    """Processes on this machine.

    Args:
        folder: for submitit's files.
        parameters: submitit's.
        max_num_timeout: how often a run goes on whose time was up.

    Raises:
        AsdError: submitit is not there, or an option cannot be used.
    """

    name = "local"

    def __init__(self, folder: str, parameters: dict[str, Any], max_num_timeout: int) -> None:
        try:
            import submitit
        except ImportError as error:
            raise AsdError(
                "hydra/launcher=submitit_local needs submitit: pip install -e '.[slurm]'"
            ) from error
        self._tickets: list[Any] = []
        self._threads = parameters.pop("cpus_per_task", None)
        given = {name: value for name, value in parameters.items() if value is not None}
        try:
            self._executor = submitit.LocalExecutor(folder, max_num_timeout=max_num_timeout)
            self._executor.update_parameters(**given)
        except (ValueError, TypeError) as error:
            raise AsdError(
                f"hydra/launcher=submitit_local: {str(error).splitlines()[0]}"
            ) from error

    def submit(self, packet: Packet) -> Any:
        """See ``Queue.submit``."""
        from submitit.core.utils import environment_variables

        from asd.sweeps.slurm import _THREAD_VARIABLES

        threads = {} if self._threads is None else dict.fromkeys(_THREAD_VARIABLES, self._threads)
        with environment_variables(**threads):
            ticket = self._executor.submit(QueuedRun(packet, str(Path.cwd())))
        self._tickets.append(ticket)
        return ticket

    def states(self) -> dict[str, str]:
        """See ``Queue.states``."""
        return {t.job_id: t.state for t in self._tickets}

    def is_live(self, state: str) -> bool:
        """See ``Queue.is_live``."""
        return state == "RUNNING"

    def taken_away(self, state: str) -> bool:
        """See ``Queue.taken_away``."""
        return False

    def advice(self, state: str) -> str:
        """See ``Queue.advice``."""
        return ""

    def leave(self, tickets: list[Any]) -> None:
        """See ``Queue.leave``: they are stopped, and waited for while they close."""
        for ticket in tickets:
            if ticket._process.poll() is None:
                ticket._process.terminate()
        until = time.monotonic() + _GRACE
        while time.monotonic() < until and any(t._process.poll() is None for t in tickets):
            time.sleep(_GLANCE)
