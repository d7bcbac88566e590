"""``hydra/launcher=joblib``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hydra.core.utils import JobReturn

from asd.sweeps.launching import Job, StreamingLauncher


class JoblibLauncher(StreamingLauncher):
    """Several runs at once on this machine (``asd.sweeps.processes``).

    Args:
        n_jobs: processes; None: by the machine's GPUs, or without one by its cores and memory.
        memory_gb: of the machine that each should have, where ``n_jobs`` is None.
        jobs_per_gpu: processes that share a GPU.
        threads: of each; None: the cores divided among them.
        attempts: how often a run that took its process down is tried.
    """

    def __init__(
        self,
        n_jobs: int | None,
        memory_gb: float,
        jobs_per_gpu: int,
        threads: int | None,
        attempts: int,
    ) -> None:
        self.n_jobs = n_jobs
        self.memory_gb = memory_gb
        self.jobs_per_gpu = jobs_per_gpu
        self.threads = threads
        self.attempts = attempts

    def stream(self, jobs: Iterable[Job]) -> Iterator[tuple[int, JobReturn]]:
        """See ``StreamingLauncher.stream``."""
        from asd.sweeps.processes import Places, run_in_processes

        places = Places.of(self.n_jobs, self.jobs_per_gpu, self.threads, self.memory_gb)
        yield from run_in_processes(jobs, self.packet, places, self.attempts)
