"""``hydra/launcher=submitit_slurm``: workers as jobs of Slurm, one ``sbatch --array`` of them."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shlex
import subprocess
import time
from pathlib import Path
from typing import Any

from asd.cores import share
from asd.errors import AsdError
from asd.options import check_number, check_whole
from asd.sweeps.workers import WorkerLauncher

log = logging.getLogger(__name__)

# When it takes the machine away, Slurm requeues a job by itself; when the job's time is up, the job
# has to. scontrol knows an array's task by this name only.
_SCRIPT = """\
#!/bin/bash
{options}
task="${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID"
{exports}
{setup}
{script}
if [ -n "$time_up" ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {requeues} ]; then
    exec scontrol requeue "$task"
fi
exit $status
"""
_ENDED = {
    "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "BOOT_FAIL",
    "PREEMPTED", "DEADLINE",
}  # fmt: skip
# Reasons for which a job will wait until someone does something.
_STUCK = re.compile("held|never ?satisfied", re.IGNORECASE)
# Set for the job that the sweep itself may be; its workers must not inherit them.
_INHERITED = re.compile("(SLURM|SLURMD|SRUN|SBATCH)_(?!CONF$)")


class SlurmLauncher(WorkerLauncher):
    """Workers as jobs of Slurm.

    Args:
        attempts: how often a run that took its worker down is tried.
        options: the others of ``conf/hydra/launcher/submitit_slurm.yaml``.
    """

    def __init__(self, attempts: int, **options: Any) -> None:
        super().__init__(attempts)
        self.most: int = options.pop("array_parallelism")
        self.requeues: int = options.pop("max_num_timeout")
        self.poll_s: float = options.pop("poll_s")
        self.threads: int = options["cpus_per_task"]
        self.setup_lines: list[str] = options.pop("setup") or []
        memory = options.pop("mem_gb")
        self.options = {
            "job_name": options.pop("name"),
            "time": options.pop("timeout_min"),
            "signal": f"B:USR2@{options.pop('signal_delay_s')}",
            "mem": None if memory is None else f"{round(1024 * memory)}M",
            **(options.pop("additional_parameters") or {}),
            **options,
        }
        self._jobs: dict[str, tuple[str, str]] = {}
        self._asked = 0.0

    def start(self, most: int) -> dict[Path, str]:
        """See ``WorkerLauncher.start``; workers that an earlier start left are waited for."""
        check_whole("hydra.launcher.array_parallelism", self.most, 1)
        check_whole("hydra.launcher.cpus_per_task", self.threads, 1)
        check_number("hydra.launcher.poll_s", self.poll_s, 0, above=True)
        self._ask()
        workers = [number for number, (state, _) in self._jobs.items() if state not in _ENDED]
        if workers:
            log.warning("Slurm has workers of this sweep already: %s", " ".join(workers))
        missing = min(self.most, most) - len(workers)
        if missing > 0:
            job = self._submit(self.job_script(missing, most))
            workers += [f"{job}_{i}" for i in range(missing)]
            self._ask()
        return {self.folder / f"slurm-{worker}.log": worker for worker in workers}

    def status(self, worker: str) -> str | None:
        """See ``WorkerLauncher.status``; the queue is asked every ``poll_s`` seconds."""
        if time.monotonic() - self._asked >= self.poll_s:
            self._ask()
        state, reason = self._jobs.get(worker, ("CANCELLED", "gone from the queue"))
        if state not in _ENDED and _STUCK.search(reason):
            self._jobs[worker] = state, ""
            log.warning("Slurm job %s is stuck: %s (scontrol release %s, or scancel %s)",
                        worker, reason, worker, worker)  # fmt: skip
        if state not in _ENDED:
            return None
        return "" if state == "COMPLETED" else f"{state} ({reason})"

    def stop(self, workers: list[str]) -> None:
        """They stay in the queue, unless nothing is left for them to do."""
        if workers and self.is_over:
            subprocess.run(["scancel", *workers], capture_output=True)
        elif workers:
            log.warning(
                "%d workers stay in Slurm's queue and go on; the same command waits for them.\n"
                "  follow: squeue --jobs=%s\n  cancel: scancel %s",
                len(workers), ",".join(workers), " ".join(workers),
            )  # fmt: skip

    def mark(self) -> str:
        """What a worker's comment says of its sweep, so that a later start finds it."""
        text = f"{self.folder.parent} {Path.cwd()} {self.command()}"
        return f"asd-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def job_script(self, count: int, most: int) -> str:
        """The job script of so many workers, for so many cells."""
        options = {
            **self.options,
            "array": f"0-{count - 1}",
            "comment": f"{self.options.get('comment') or ''} {self.mark()}".strip(),
            "output": self.folder / "slurm-%A_%a.log",
            "open_mode": "append",
        }
        lines = []
        for name, value in options.items():
            if value not in (None, False):
                text = "" if value is True else f"={shlex.quote(str(value))}"
                lines.append(f"#SBATCH --{name.replace('_', '-')}{text}")
        variables = {**share(self.threads, 1), **self.environment("$SLURM_ARRAY_TASK_ID")}
        variables["ASD_PLACE"] = "slurm job $task on $(hostname)"
        return _SCRIPT.format(
            options="\n".join(lines),
            exports="\n".join(f'export {name}="{text}"' for name, text in variables.items()),
            setup="\n".join(self.setup_lines),
            script=self.script(most),
            requeues=self.requeues,
        )

    def _submit(self, script: str) -> str:
        environment = {n: v for n, v in os.environ.items() if not _INHERITED.match(n)}
        command = ["sbatch", "--parsable"]
        try:
            answer = subprocess.run(
                command, input=script, capture_output=True, text=True, env=environment
            )
        except OSError as error:
            raise AsdError(
                "hydra/launcher=submitit_slurm: no sbatch here; start the sweep where sbatch, "
                "squeue and scontrol are, on a login node (docs/scaling.md)"
            ) from error
        if answer.returncode:
            why = answer.stderr.strip().removeprefix("sbatch: error: ").splitlines()[0]
            raise AsdError(f"hydra.launcher: Slurm does not take the workers: {why}")
        return answer.stdout.strip().split(";")[0]

    def _ask(self) -> None:
        """States and reasons of this sweep's jobs; without an answer all stays as it was."""
        self._asked = time.monotonic()
        command = ["squeue", "--noheader", "--array", "--states=all", f"--user={os.getuid()}"]
        command.append("--format=%i|%T|%r|%k")
        try:
            answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        except (OSError, subprocess.SubprocessError) as error:
            log.debug("squeue: %s", error)
            return
        rows = [line.split("|", 3) for line in answer.splitlines()]
        self._jobs = {row[0]: (row[1], row[2]) for row in rows if row[3].endswith(self.mark())}
