"""``hydra/launcher=sequential``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hydra.core.utils import JobReturn

from asd.sweeps.launching import Job, StreamingLauncher, run_here


class SequentialLauncher(StreamingLauncher):
    """One run after another in this process."""

    def stream(self, jobs: Iterable[Job]) -> Iterator[tuple[int, JobReturn]]:
        """See ``StreamingLauncher.stream``."""
        for job in jobs:
            yield job.number, run_here(job, self.hydra_context, self.config, self.task_function)
