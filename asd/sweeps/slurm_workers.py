"""Workers as jobs of Slurm: one ``sbatch --array`` of the sweep's own command."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asd.cores import share
from asd.errors import AsdError
from asd.options import check_number, check_whole
from asd.sweeps.outcomes import short
from asd.sweeps.workers import GLANCE, WorkerLauncher, last_lines, was_taken_down

log = logging.getLogger(__name__)

# Slurm says SIGTERM when it takes the machine away, and requeues; USR2 some time before the job's
# time limit, when the job must requeue itself. An array's task is not SLURM_JOB_ID to scontrol.
_SCRIPT = """\
#!/bin/bash
{options}
trap 'time_up=1; kill -TERM $worker' USR2
trap 'kill -TERM $worker' TERM
{setup}
export {variables}
task="${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID"
export ASD_PLACE="slurm job $task on $(hostname)"
{command} &
worker=$!
while kill -0 $worker 2> /dev/null; do wait $worker; status=$?; done
if [ -n "$time_up" ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {requeues} ]; then
    exec scontrol requeue "$task"
fi
exit $status
"""
_ENDED = {
    "COMPLETED": "",
    "OUT_OF_MEMORY": " (raise hydra.launcher.mem_gb)",
    "TIMEOUT": " (raise hydra.launcher.timeout_min, or signal_delay_s if closing took too long)",
    "CANCELLED": " (scancel)",
    **dict.fromkeys(("FAILED", "NODE_FAIL", "BOOT_FAIL", "PREEMPTED", "DEADLINE", "REVOKED"), ""),
}
_BY_SOMEONE = ("COMPLETED", "CANCELLED")
# Reasons for which a job will wait until someone does something.
_STUCK = re.compile("held|never ?satisfied", re.IGNORECASE)
# Set for the job that the sweep itself may be; its workers must not inherit them.
_INHERITED = re.compile("(SLURM|SLURMD|SRUN|SBATCH)_(?!CONF$)")
# Seconds that Slurm may take to answer; a busy controller is asked again at the next look.
_PATIENCE = 60
_COLUMNS = (("JobArrayID", 40), ("State", 20), ("exit_code", 12), ("Reason", 60), ("Comment", 200))


@dataclass(frozen=True)
class QueuedJob:
    """What ``squeue`` says of a job."""

    number: str
    state: str
    status: int
    reason: str

    @property
    def died(self) -> bool:
        """Whether it ended, and neither by itself nor because someone wanted it to."""
        if self.state == "FAILED":
            return was_taken_down(self.status)
        return self.state in _ENDED and self.state not in _BY_SOMEONE


class SlurmWorkers(WorkerLauncher):
    """Workers as jobs of Slurm.

    Args:
        name: of the jobs.
        array_parallelism: workers that wait or run at once.
        timeout_min: a worker's time limit, after which it is requeued.
        signal_delay_s: so long before it the run closes.
        max_num_timeout: how often a worker is requeued whose time was up.
        attempts: how often a run that took its worker down is tried.
        poll_s: seconds between two questions to the scheduler.
        cpus_per_task: of a worker; torch's threads, too.
        mem_gb: of a worker; None: Slurm's default.
        setup: shell lines before a worker starts.
        comment: of the jobs, before our own mark.
        additional_parameters: any other options of ``sbatch``.
        parameters: likewise.
    """

    def __init__(
        self,
        name: str,
        array_parallelism: int,
        timeout_min: int,
        signal_delay_s: int,
        max_num_timeout: int,
        attempts: int,
        poll_s: float,
        cpus_per_task: int,
        mem_gb: float | None,
        setup: list[str] | None,
        comment: str | None,
        additional_parameters: Mapping[str, Any] | None,
        **parameters: Any,
    ) -> None:
        super().__init__(attempts)
        self.array_parallelism = array_parallelism
        self.max_num_timeout = max_num_timeout
        self.poll_s = poll_s
        self.cpus_per_task = cpus_per_task
        self.shell_lines = list(setup or [])
        self.comment = comment
        self.options = {
            **parameters,
            "job_name": name,
            "time": timeout_min,
            "signal": f"B:USR2@{signal_delay_s}",
            "cpus_per_task": cpus_per_task,
            "mem": None if mem_gb is None else f"{round(1024 * mem_gb)}M",
            **(additional_parameters or {}),
        }
        self._warned: set[str] = set()

    def work(self, watch: Callable[[], bool], most: int | None = None) -> None:
        """See ``WorkerLauncher.work``. Stopped, it leaves the workers in the queue."""
        check_whole("hydra.launcher.array_parallelism", self.array_parallelism, 1)
        check_whole("hydra.launcher.cpus_per_task", self.cpus_per_task, 1)
        check_number("hydra.launcher.poll_s", self.poll_s, 0, above=True)
        count = min(self.array_parallelism, most or self.array_parallelism)
        replacements = self.attempts * (most or count)
        mark = self.mark()
        running = {job.number for job in self._queue(mark) or [] if job.state not in _ENDED}
        if running:
            log.warning("an earlier start left %d workers in Slurm's queue: %s",
                        len(running), " ".join(sorted(running)))  # fmt: skip
        if len(running) < count:
            running |= self._submit(count - len(running), mark)
        asked = time.monotonic()
        try:
            while running:
                time.sleep(GLANCE)
                left = watch()
                if time.monotonic() - asked < self.poll_s:
                    continue
                asked, jobs = time.monotonic(), self._queue(mark)
                if jobs is None:
                    continue
                ended = self._ended(jobs, running)
                running -= {job.number for job in ended}
                lost = min(sum(job.died for job in ended), replacements)
                if lost and left:
                    replacements -= lost
                    running |= self._submit(lost, mark, must=not running)
        except BaseException:
            self._leave(running)
            raise

    def mark(self) -> str:
        """What a worker's comment says of its sweep, so that a later start finds it."""
        text = repr([str(self.folder.parent), str(Path.cwd()), self.command()])
        return f"asd-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def script(self, count: int, mark: str) -> str:
        """The job script of so many workers."""
        comment = mark if self.comment is None else f"{self.comment} {mark}"
        options = {
            **self.options,
            "array": f"0-{count - 1}",
            "comment": comment,
            "output": self.folder / "slurm-%A_%a.log",
            "open_mode": "append",
        }
        variables = {**share(self.cpus_per_task, 1), **self.environment()}
        return _SCRIPT.format(
            options="\n".join(_option(name, value) for name, value in options.items()),
            setup="\n".join(self.shell_lines),
            variables=" ".join(f"{name}={shlex.quote(text)}" for name, text in variables.items()),
            command=shlex.join(self.command()),
            requeues=self.max_num_timeout,
        )

    def _submit(self, count: int, mark: str, must: bool = True) -> set[str]:
        environment = {n: v for n, v in os.environ.items() if not _INHERITED.match(n)}
        script = self.script(count, mark)
        try:
            answer = subprocess.run(
                ["sbatch", "--parsable"], input=script, capture_output=True, text=True,
                env=environment, timeout=_PATIENCE,
            )  # fmt: skip
        except OSError as error:
            raise AsdError(
                "hydra/launcher=submitit_slurm: no sbatch here; start the sweep where sbatch, "
                "squeue and scontrol are, on a login node (docs/scaling.md)"
            ) from error
        if answer.returncode:
            why = answer.stderr.strip().splitlines() or ["sbatch failed"]
            text = (
                f"hydra.launcher: Slurm does not take {count} workers: "
                f"{why[0].removeprefix('sbatch: error: ')} (fewer: array_parallelism)"
            )
            if must:
                raise AsdError(text)
            log.warning("%s", text)
            return set()
        number = answer.stdout.strip().split(";")[0]
        return {f"{number}_{i}" for i in range(count)}

    def _queue(self, mark: str) -> list[QueuedJob] | None:
        """This sweep's jobs that Slurm still knows; None: it does not answer."""
        columns = ",".join(f"{name}:{width}" for name, width in _COLUMNS)
        command = ["squeue", "--noheader", "--array", "--states=all", f"--user={os.getuid()}"]
        try:
            answer = subprocess.run(
                [*command, f"--Format={columns}"],
                capture_output=True, text=True, check=True, timeout=_PATIENCE,
            )  # fmt: skip
        except (OSError, subprocess.SubprocessError) as error:
            log.debug("squeue: %s", error)
            return None
        jobs = []
        for line in answer.stdout.splitlines():
            values = []
            for _, width in _COLUMNS:
                values.append(line[:width].strip())
                line = line[width:]
            number, state, status, reason, comment = values
            if comment.split()[-1:] == [mark]:
                code = (int(status) >> 8) & 255 or -(int(status) & 127)
                jobs.append(QueuedJob(number, state, code, reason))
        return jobs

    def _ended(self, jobs: list[QueuedJob], running: set[str]) -> list[QueuedJob]:
        """Those of our workers that have; what is wrong with any is said."""
        known = {job.number: job for job in jobs}
        ended = []
        for number in sorted(running):
            job = known.get(number, QueuedJob(number, "COMPLETED", 0, ""))
            if job.state in _ENDED:
                ended.append(job)
                if job.state != "COMPLETED":
                    path = self.folder / f"slurm-{number}.log"
                    log.warning("Slurm job %s: %s%s; its log: %s%s", number, job.state,
                                _ENDED[job.state], short(path), last_lines(path))  # fmt: skip
            elif _STUCK.search(job.reason) and number not in self._warned:
                self._warned.add(number)
                log.warning("Slurm job %s is stuck: %s (scontrol release %s, or scancel %s)",
                            number, job.reason, number, number)  # fmt: skip
        return ended

    def _leave(self, running: set[str]) -> None:
        numbers = sorted(running)
        if numbers:
            log.warning(
                "%d workers stay in Slurm's queue and go on; the same command waits for them "
                "again.\n  follow: squeue --jobs=%s\n  cancel: scancel %s",
                len(numbers), ",".join(numbers), " ".join(numbers),
            )  # fmt: skip


def _option(name: str, value: object) -> str:
    """One line of a job script; none for what is left to Slurm.

    >>> _option("gpus_per_node", 1), _option("exclusive", True)
    ('#SBATCH --gpus-per-node=1', '#SBATCH --exclusive')
    """
    if value is None or value is False:
        return "#"
    option = f"#SBATCH --{name.replace('_', '-')}"
    return option if value is True else f"{option}={shlex.quote(str(value))}"
