"""What our launchers share: jobs start as places become free, and none takes others down.

Hydra's own interface, ``launch``, returns when a whole batch is done. ``stream`` takes jobs one by
one and gives results as they come, so that a search can choose its next trial by them.
"""

from __future__ import annotations

import logging
import sys
import traceback
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict


@dataclass(frozen=True)
class Job:
    """One run to start: its number in the sweep and its overrides."""

    number: int
    overrides: tuple[str, ...]


class JobFailedError(Exception):
    """A job's failure, as text: it came from another process, or its exception cannot travel.

    Args:
        message: one line.
        details: the traceback.
    """

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message, details)
        self.message = message
        self.details = details

    def __str__(self) -> str:
        return self.message


class StreamingLauncher(Launcher):
    """Runs jobs as places become free."""

    config: DictConfig
    hydra_context: HydraContext
    task_function: TaskFunction

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Hydra's: what the jobs are made from."""
        self.config = config
        self.hydra_context = hydra_context
        self.task_function = task_function

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Hydra's: run all of these, in any order; the results in the order asked for."""
        jobs = [Job(initial_job_idx + i, tuple(o)) for i, o in enumerate(job_overrides)]
        results = dict(self.stream(jobs))
        return [results[job.number] for job in jobs]

    @abstractmethod
    def stream(self, jobs: Iterable[Job]) -> Iterator[tuple[int, JobReturn]]:
        """Run jobs, taking the next one when there is a place for it.

        Args:
            jobs: may be a generator that decides late; it is only advanced when a place is free,
                and no job is started after it has ended.

        Yields:
            (number, result) as they end, failed ones included: a job that dies is a result with
            ``JobStatus.FAILED``, never an exception.

        Raises:
            KeyboardInterrupt: Ctrl-C or SIGTERM; jobs were told to stop and have.
        """

    def packet(self, job: Job) -> Packet:
        """What another process needs to run this job."""
        from hydra.core.singleton import Singleton

        return Packet(
            job,
            self.hydra_context,
            self.config,
            _by_name(self.task_function),
            Singleton.get_state(),
        )


@dataclass(frozen=True)
class Packet:
    """A job with all that running it in another process takes; call it there."""

    job: Job
    hydra_context: HydraContext
    config: DictConfig
    task: tuple[str, str]
    state: Any
    #: Log to the terminal as well as to the run's ``train.log``.
    talk: bool = False

    def __call__(self) -> JobReturn:
        """Run it.

        Returns:
            The result, picklable; a failure is a ``JobFailedError`` in it (an ``AsdError`` stays
            one).
        """
        from hydra.core.singleton import Singleton

        Singleton.set_state(self.state)
        module, name = self.task
        __import__(module)
        task = getattr(sys.modules[module], name)
        return portable(run_here(self.job, self.hydra_context, self.config, task, talk=self.talk))


def run_here(
    job: Job, context: HydraContext, config: DictConfig, task: TaskFunction, talk: bool = False
) -> JobReturn:
    """Compose a job's config and run it in this process.

    A job whose config cannot be composed is a failed job.
    """
    from hydra.core.utils import run_job, setup_globals

    from asd.composition import register_resolvers

    setup_globals()
    register_resolvers()
    try:
        composed = context.config_loader.load_sweep_config(config, list(job.overrides))
    except Exception as error:
        result = JobReturn(overrides=list(job.overrides), status=JobStatus.FAILED)
        result.return_value = error
        return result
    with open_dict(composed):
        composed.hydra.job.id = job.number
        composed.hydra.job.num = job.number
    with nullcontext() if talk else _quiet():
        return run_job(
            task_function=task,
            config=composed,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
            hydra_context=context,
            configure_logging=talk,
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Say nothing to the terminal, which shows the sweep; the run folder's train.log has it all."""
    from asd import progress

    root = logging.getLogger()
    level, handlers, before = root.level, root.handlers, progress.quiet
    root.setLevel(logging.INFO)
    root.handlers = [h for h in handlers if not _prints(h)] or [logging.NullHandler()]
    progress.quiet = True
    try:
        yield
    finally:
        root.setLevel(level)
        root.handlers = handlers
        progress.quiet = before


def portable(result: JobReturn) -> JobReturn:
    """A result without what may not survive being pickled: configs, other packages' exceptions."""
    from asd.errors import AsdError

    value = result._return_value
    if isinstance(value, BaseException) and not isinstance(value, AsdError | JobFailedError):
        value = failure(value)._return_value
    small = JobReturn(overrides=result.overrides, status=result.status)
    small._return_value = value
    return small


def failure(error: BaseException) -> JobReturn:
    """The result of a job that ended with this exception."""
    result = JobReturn(status=JobStatus.FAILED)
    text = str(error).splitlines()
    lines = traceback.format_exception(error)
    result._return_value = JobFailedError(
        f"{type(error).__name__}: {text[0] if text else ''}", "".join(lines)
    )
    return result


def failed(message: str, details: str = "") -> JobReturn:
    """The result of a job that we know to have failed, without an exception of its own."""
    result = JobReturn(status=JobStatus.FAILED)
    result._return_value = JobFailedError(message, details)
    return result


def stream(launcher: Launcher, jobs: Iterable[Job]) -> Iterator[tuple[int, JobReturn]]:
    """``StreamingLauncher.stream``, and for any other launcher of Hydra all jobs as one batch."""
    if isinstance(launcher, StreamingLauncher):
        yield from launcher.stream(jobs)
        return
    batch = list(jobs)
    if batch:
        results = launcher.launch([list(job.overrides) for job in batch], batch[0].number)
        yield from zip([job.number for job in batch], results, strict=True)


def _by_name(task: TaskFunction) -> tuple[str, str]:
    """Where to import a task from; a program run by ``-m`` is imported by its real name."""
    module = task.__module__
    if module == "__main__" and (spec := sys.modules["__main__"].__spec__) is not None:
        module = spec.name
    return module, task.__qualname__


def _prints(handler: logging.Handler) -> bool:
    return isinstance(handler, logging.StreamHandler) and not isinstance(
        handler, logging.FileHandler
    )
