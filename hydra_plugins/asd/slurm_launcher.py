"""``hydra/launcher=submitit_slurm`` and ``hydra/launcher=submitit_local``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

from hydra.core.utils import JobReturn

from asd.sweeps.launching import Job, Packet, StreamingLauncher


class SlurmLauncher(StreamingLauncher):
    """Each run a job of Slurm (``asd.sweeps.slurm``).

    Args:
        submitit_folder: for submitit's files; ``%j`` stands for the job's number.
        array_parallelism: jobs that wait or run at once.
        max_num_timeout: how often a job is requeued whose time was up.
        attempts: how often a run is submitted whose job is taken away and not requeued by Slurm.
        poll_s: seconds between two questions to the scheduler.
        settle_s: seconds from a job's end until its result must be there.
        parameters: submitit's, which are ``sbatch``'s.
    """

    def __init__(
        self,
        submitit_folder: str,
        array_parallelism: int,
        max_num_timeout: int,
        attempts: int,
        poll_s: float,
        settle_s: float,
        **parameters: Any,
    ) -> None:
        self.submitit_folder = submitit_folder
        self.array_parallelism = array_parallelism
        self.max_num_timeout = max_num_timeout
        self.attempts = attempts
        self.poll_s = poll_s
        self.settle_s = settle_s
        self.parameters = parameters

    def packet(self, job: Job) -> Packet:
        """What a job runs; it talks, so that Slurm's log of it has something to say."""
        return dataclasses.replace(super().packet(job), talk=True)

    def _queue(self, parameters: dict[str, Any]) -> Any:
        from asd.sweeps.slurm import Slurm

        return Slurm(self.submitit_folder, parameters, self.max_num_timeout, self.poll_s)

    def stream(self, jobs: Iterable[Job]) -> Iterator[tuple[int, JobReturn]]:
        """See ``StreamingLauncher.stream``."""
        from omegaconf import OmegaConf

        from asd.sweeps.queueing import run_in_queue

        plain = OmegaConf.to_container(OmegaConf.create(self.parameters), resolve=True)
        yield from run_in_queue(
            jobs,
            self.packet,
            self._queue(plain),  # type: ignore[arg-type]
            self.array_parallelism,
            self.attempts,
            self.poll_s,
            self.settle_s,
        )


class LocalQueueLauncher(SlurmLauncher):
    """Each run a process of submitit on this machine (``asd.sweeps.local_queue``)."""

    def _queue(self, parameters: dict[str, Any]) -> Any:
        from asd.sweeps.local_queue import LocalQueue

        return LocalQueue(self.submitit_folder, parameters, self.max_num_timeout)
