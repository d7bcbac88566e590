"""``hydra/launcher=submitit_slurm``: workers as jobs of Slurm, one ``sbatch --array`` of them."""

from __future__ import annotations

import hashlib
import logging
import os
import shlex
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asd.cores import share
from asd.errors import AsdError
from asd.sweeps.workers import WorkerLauncher

log = logging.getLogger(__name__)

# When it takes the machine away (TERM), Slurm requeues a job by itself; when the job's time is
# nearly up (USR2), or the worker was taken down by another signal, the job has to.
_SCRIPT = """\
#!/bin/bash
{setup}
task="${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID"
export {variables}
{command} &
worker=$!
trap 'kill -TERM $worker' USR2
trap 'stop=1; kill -TERM $worker' TERM
until wait $worker; status=$?; ! kill -0 $worker 2> /dev/null; do :; done
if [ $status -ge 128 ] && [ ! "$stop" ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {requeues} ]
then exec scontrol requeue "$task"
fi
exit $status
"""


class SlurmLauncher(WorkerLauncher):
    """Workers as jobs of Slurm; its options: ``conf/hydra/launcher/submitit_slurm.yaml``."""

    def __init__(self, array_parallelism: int, poll_s: float, **options: Any) -> None:
        self.most = array_parallelism
        self.poll_s = poll_s
        self.requeues: int = options.pop("max_num_timeout")
        self.setup: list[str] = options.pop("setup") or []
        self.options = options  # sbatch's
        self._jobs: set[str] = set()
        self._asked = 0.0

    def start(self, numbers: Sequence[int]) -> dict[str, str]:
        """See ``WorkerLauncher.start``; workers that an earlier start left count as some."""
        self._ask()
        workers = sorted(self._jobs)
        if workers:
            log.warning("Slurm has workers of this sweep already: %s", " ".join(workers))
        missing = min(len(numbers), self.most) - len(workers)
        if missing > 0:
            answer = _slurm("sbatch", "--parsable", *self.flags(missing), script=self.script())
            if answer.returncode:
                raise AsdError(f"hydra.launcher: Slurm's answer: {answer.stderr.strip()}")
            job = answer.stdout.strip().split(";")[0]
            workers += [f"{job}_{i}" for i in range(missing)]
            self._ask()
        return {worker: worker for worker in workers}

    def status(self, worker: str) -> int | None:
        """See ``WorkerLauncher.status``; the queue is asked every ``poll_s`` seconds."""
        if time.monotonic() - self._asked >= self.poll_s:
            self._ask()
        return None if worker in self._jobs else 0

    def stop(self, workers: list[str], over: bool) -> None:
        """They stay in the queue, unless nothing is left for them to do."""
        if workers and over:
            _slurm("scancel", "--quiet", *workers)
        elif workers:
            log.warning("%d workers stay in Slurm's queue and go on; the same command waits for "
                        "them.\n  cancel: scancel %s", len(workers), " ".join(workers))  # fmt: skip

    def name(self) -> str:
        """Of the jobs: the sweep's own, so that a later start finds them."""
        text = f"{self.folder.parent} {Path.cwd()} {shlex.join(self.command)}"
        return f"{self.options['job_name']}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def flags(self, count: int) -> list[str]:
        """What sbatch is told of so many workers."""
        ours = {"job_name": self.name(), "array": f"0-{count - 1}", "open_mode": "append"}
        options = {**self.options, **ours, "output": self.log_file("%A_%a")}
        return [
            f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}")
            for name, value in options.items()
            if value not in (None, False)
        ]

    def script(self) -> str:
        """What a job runs."""
        variables = {
            **share(self.options["cpus_per_task"]),
            **self.environment("$SLURM_ARRAY_TASK_ID"),
            "ASD_PLACE": "slurm job $task on $(hostname)",
        }
        return _SCRIPT.format(
            setup="\n".join(self.setup),
            variables=" ".join(f'{name}="{value}"' for name, value in variables.items()),
            command=shlex.join(self.command),
            requeues=self.requeues,
        )

    def _ask(self) -> None:
        """Which of this sweep's jobs live; without an answer all stays as it was."""
        self._asked = time.monotonic()
        answer = _slurm("squeue", "--noheader", "--array", f"--name={self.name()}", "--format=%i")
        if answer.returncode == 0:
            self._jobs = set(answer.stdout.split())


def _slurm(*command: str, script: str = "") -> subprocess.CompletedProcess[str]:
    """Run one of Slurm's commands; an ``AsdError`` if it is not there."""
    # What Slurm set for the job that the sweep itself may be is not for its workers.
    ours = {n: v for n, v in os.environ.items() if n == "SLURM_CONF" or "SLURM_" not in n}
    try:
        return subprocess.run(command, input=script, capture_output=True, text=True, env=ours)
    except OSError as error:
        why = f"no {command[0]} here; start the sweep on a login node (docs/scaling.md)"
        raise AsdError(f"hydra/launcher=submitit_slurm: {why}") from error
