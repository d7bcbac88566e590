"""Slurm, by submitit: one ``sbatch`` a run.

Of submitit we use the script, the job's side and the requeueing. Its watcher we do not: it asks
``sacct``, which many clusters do not have, and without it takes a dead job for a living one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from asd.errors import AsdError
from asd.sweeps.in_queue import QueuedRun
from asd.sweeps.launching import Packet
from asd.sweeps.queueing import RefusedError

log = logging.getLogger(__name__)

# States in which a job may still give a result; all others are an end.
_LIVE = {
    "PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING",
    "STAGE_OUT", "RESIZING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD",
    "SPECIAL_EXIT",
}  # fmt: skip
_TAKEN_AWAY = {"PREEMPTED", "NODE_FAIL", "BOOT_FAIL"}
_ADVICE = {
    "OUT_OF_MEMORY": " (raise hydra.launcher.mem_gb)",
    "TIMEOUT": " (raise hydra.launcher.timeout_min, or signal_delay_s if closing took too long)",
    "CANCELLED": " (scancel)",
}
# Reasons for which a job will wait until someone does something.
_STUCK = re.compile("held|never ?satisfied", re.IGNORECASE)
# Set for the job that the sweep itself may be; its own jobs must not inherit them.
_INHERITED = ("SLURM_", "SLURMD_", "SRUN_", "SBATCH_", "SUBMITIT_")
# Seconds that squeue may take; a busy controller is asked again at the next look.
_PATIENCE = 60
# Our names (those of Hydra's published plugin) of what submitit calls otherwise.
_NAMES = {
    "name": "job_name", "timeout_min": "time", "mem_gb": "mem", "tasks_per_node": "ntasks_per_node",
}  # fmt: skip
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Slurm:
    """Slurm's queue.

    Args:
        folder: for submitit's files; ``%j`` stands for the job's number.
        parameters: submitit's, which are ``sbatch``'s; None: left out.
        max_num_timeout: how often a job is requeued whose time was up.
        poll_s: seconds for which an answer of the queue is good.

    Raises:
        AsdError: Slurm's programs or submitit are not there, or an option cannot be used.
    """

    name = "Slurm"

    def __init__(
        self, folder: str, parameters: dict[str, Any], max_num_timeout: int, poll_s: float
    ) -> None:
        try:
            import submitit
        except ImportError as error:
            raise AsdError(
                "hydra/launcher=submitit_slurm needs submitit: pip install -e '.[slurm]'"
            ) from error
        self._folder = folder
        self._poll_s = poll_s
        self._comment = parameters.pop("comment", None)
        for name in ("nodes", "tasks_per_node"):
            if parameters.get(name, 1) != 1:
                raise AsdError(
                    f"hydra.launcher.{name}={parameters[name]}: a run is one task on one node; "
                    "several GPUs of it: gpus_per_node=N and trainer.devices=N"
                )
        try:
            self._executor = submitit.SlurmExecutor(folder, max_num_timeout=max_num_timeout)
        except RuntimeError as error:
            raise AsdError(
                "hydra/launcher=submitit_slurm: no srun here; start the sweep where sbatch, srun "
                "and squeue are, on a login node (docs/scaling.md)"
            ) from error
        try:
            self._executor.update_parameters(**task_parameters(parameters))
        except (ValueError, TypeError) as error:
            raise AsdError(f"hydra.launcher: {str(error).splitlines()[0]}") from error
        self._seen: dict[str, str] = {}
        self._by_comment: dict[str, str] = {}
        self._asked = float("-inf")
        self._warned: set[str] = set()

    def submit(self, packet: Packet) -> Any:
        """See ``Queue.submit``; a job that an earlier start of the sweep left is waited for."""
        import submitit

        if time.monotonic() - self._asked >= self._poll_s:
            self.states()
        mark = mark_of(self._folder, packet.job.overrides)
        there = self._by_comment.get(mark)
        if there is not None and self.is_live(self._seen.get(there, "")):
            log.info("Slurm job %s has this run already; waiting for it", there)
            return submitit.SlurmJob(self._folder, there)
        comment = mark if self._comment is None else f"{self._comment} {mark}"
        self._executor.update_parameters(comment=comment)
        try:
            with _outside_any_job():
                return self._executor.submit(QueuedRun(packet, str(Path.cwd())))
        except (RuntimeError, OSError) as error:  # all of submitit's are RuntimeErrors
            said = [line for line in str(error).splitlines() if line.startswith("sbatch: ")]
            why = (
                said[0].removeprefix("sbatch: error: ")
                if said
                else str(error).strip().splitlines()[-1]
            )
            raise RefusedError(f"hydra.launcher: Slurm does not take the job: {why}") from error

    def states(self) -> dict[str, str] | None:
        """See ``Queue.states``: one ``squeue`` for all jobs of the user."""
        self._asked = time.monotonic()
        command = ["squeue", "--noheader", "--states=all", f"--user={os.getuid()}"]
        try:
            answer = subprocess.run(
                [*command, "--format=%i|%T|%r|%k"],
                capture_output=True, text=True, check=True, timeout=_PATIENCE,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            log.debug("squeue: %s", error)
            return None
        self._seen, self._by_comment = {}, {}
        for line in answer.stdout.splitlines():
            number, state, reason, comment = line.split("|", 3)
            self._seen[number] = state
            if self.is_live(state) and comment.split():
                self._by_comment[comment.split()[-1]] = number
                self._warn(number, reason, comment.split()[-1])
        return self._seen

    def _warn(self, number: str, reason: str, mark: str) -> None:
        if mark.startswith("asd-") and _STUCK.search(reason) and number not in self._warned:
            self._warned.add(number)
            log.warning(
                "Slurm job %s is stuck: %s (scontrol release %s, or scancel %s)",
                number, reason, number, number,
            )  # fmt: skip

    def is_live(self, state: str) -> bool:
        """See ``Queue.is_live``."""
        return state in _LIVE

    def taken_away(self, state: str) -> bool:
        """See ``Queue.taken_away``: pre-empted by cancelling, or the node failed."""
        return state in _TAKEN_AWAY

    def advice(self, state: str) -> str:
        """See ``Queue.advice``."""
        return _ADVICE.get(state, "")

    def leave(self, tickets: list[Any]) -> None:
        """See ``Queue.leave``: they stay there."""
        numbers = [ticket.job_id for ticket in tickets]
        log.warning(
            "%d jobs stay in Slurm's queue; the same command waits for them again.\n"
            "  follow: squeue --jobs=%s\n  cancel: scancel %s",
            len(numbers),
            ",".join(numbers),
            " ".join(numbers),
        )


def task_parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    """Options as submitit takes them, with what one task of one run needs."""
    given = {_NAMES.get(n, n): value for n, value in parameters.items() if value is not None}
    if "mem" in given:
        given["mem"] = f"{round(given['mem'] * 1024)}M"
    cores = given.get("cpus_per_task")
    if cores is not None:
        # Before anything is imported: OpenBLAS reads its own when numpy is.
        threads = " ".join(f"{name}={cores}" for name in _THREAD_VARIABLES)
        given["setup"] = [f"export {threads}", *given.get("setup", [])]
        # Since 22.05 srun does not take it over from sbatch.
        given["srun_args"] = [f"--cpus-per-task={cores}", *given.get("srun_args", [])]
    return given


def mark_of(folder: str, overrides: tuple[str, ...]) -> str:
    """What a job's comment says of its run, so that a later start of the sweep finds it."""
    kept = sorted(o for o in overrides if o.lstrip("+") != "if_running=wait")
    text = json.dumps([str(Path(folder).absolute()), str(Path.cwd()), kept])
    return f"asd-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


@contextmanager
def _outside_any_job() -> Iterator[None]:
    """Submit as from a login node, also where the sweep is a Slurm job itself."""
    hidden = {}
    if "SLURM_JOB_ID" in os.environ:
        hidden = {
            name: os.environ.pop(name)
            for name in list(os.environ)
            if name.startswith(_INHERITED) and name != "SLURM_CONF"
        }
    try:
        yield
    finally:
        os.environ.update(hidden)
