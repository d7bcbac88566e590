"""Keep a scheduler's queue filled with runs, and collect their results.

What kind of queue is behind a small interface: Slurm's (``asd.sweeps.slurm``), or processes on this
machine that submitit starts (``asd.sweeps.local_queue``).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hydra.core.utils import JobReturn

from asd.errors import AsdError
from asd.sweeps.in_queue import mark_of_sigterm
from asd.sweeps.launching import Job, Packet, failed

log = logging.getLogger(__name__)

# Seconds between two looks for results. The queue itself is asked less often (poll_s).
_GLANCE = 1.0
# Lines of a dead job's own log that the run's log is given.
_TAIL = 40


class Queue(Protocol):
    """A scheduler, and how we talk to it. Jobs are submitit's."""

    #: What its jobs are called in messages.
    name: str

    def submit(self, packet: Packet) -> Any:
        """Put a run into the queue, or find it there.

        Raises:
            RefusedError: the scheduler does not take it.
        """

    def states(self) -> dict[str, str] | None:
        """States by job id of all jobs that the queue still knows; None: it does not answer."""

    def is_live(self, state: str) -> bool:
        """Whether a job in this state may still give a result."""

    def taken_away(self, state: str) -> bool:
        """Whether a job in this state has ended through no fault of its own."""

    def advice(self, state: str) -> str:
        """What the user can do about a job that ended in this state."""

    def leave(self, tickets: list[Any]) -> None:
        """The sweep's process stops while these are in the queue."""


class RefusedError(AsdError):
    """The scheduler does not take a job."""


@dataclass
class _Entry:
    """A job in the queue: submitit's handle, and since when it is gone without a result."""

    job: Job
    ticket: Any
    gone_since: float | None = None
    last_state: str = field(default="")


def run_in_queue(
    jobs: Iterable[Job],
    packet: Callable[[Job], Packet],
    queue: Queue,
    parallelism: int,
    attempts: int,
    poll_s: float,
    settle_s: float,
) -> Iterator[tuple[int, JobReturn]]:
    """Run jobs, so many in the queue at once.

    Args:
        jobs: see ``StreamingLauncher.stream``.
        packet: makes what a job runs.
        queue: where they go.
        parallelism: jobs that wait or run there at once.
        attempts: how often a job is submitted that the scheduler takes away and does not requeue.
        poll_s: seconds between two questions to the scheduler.
        settle_s: seconds from a job's end until its result must be there (shared file systems
            are late).

    Yields:
        (number, result) as they end.

    Raises:
        AsdError: the scheduler refuses a job while none is running that could make place for it.
    """
    waiting, exhausted = iter(jobs), False
    again: list[Job] = []
    submitted: dict[int, int] = {}
    entries: list[_Entry] = []
    full = False
    asked = time.monotonic()
    try:
        while True:
            while len(entries) < parallelism and not full and (again or not exhausted):
                job = again.pop() if again else next(waiting, None)
                if job is None:
                    exhausted = True
                    break
                try:
                    ticket = queue.submit(packet(job))
                except RefusedError as error:
                    if not entries:
                        raise
                    log.info("%s; tried again when a job has ended", error)
                    again.append(job)
                    full = True
                    break
                submitted[job.number] = submitted.get(job.number, 0) + 1
                entries.append(_Entry(job, ticket))
            if not entries:
                break
            time.sleep(_GLANCE)
            now = time.monotonic()
            if now - asked >= poll_s:
                asked = now
                _note_states(entries, queue, now)
            for entry in list(entries):
                result = _result(entry, queue)
                if result is None and _is_lost(entry, now, settle_s):
                    if _taken_away(entry, queue) and submitted[entry.job.number] < attempts:
                        log.info("%s: taken away; submitted again", _called(entry, queue))
                        entries.remove(entry)
                        again.append(entry.job)
                        full = False
                        continue
                    result = _death(entry, queue)
                if result is not None:
                    entries.remove(entry)
                    full = False
                    yield entry.job.number, result
    finally:
        if entries:
            queue.leave([entry.ticket for entry in entries])


def _note_states(entries: list[_Entry], queue: Queue, now: float) -> None:
    states = queue.states()
    if states is None:
        return
    for entry in entries:
        state = states.get(entry.ticket.job_id, "")
        entry.last_state = state or entry.last_state
        if state and queue.is_live(state):
            entry.gone_since = None
        elif entry.gone_since is None:
            entry.gone_since = now


def _is_lost(entry: _Entry, now: float, settle_s: float) -> bool:
    return entry.gone_since is not None and now - entry.gone_since >= settle_s


def _result(entry: _Entry, queue: Queue) -> JobReturn | None:
    """What the job left; None while there is nothing."""
    if not entry.ticket.paths.result_pickle.exists():
        return None
    try:
        result: JobReturn = entry.ticket.result()
    except Exception as error:
        text = str(error).rstrip(" \n-")
        last = text.splitlines()[-1] if text else type(error).__name__
        return failed(f"{_called(entry, queue)}: {last}", text)
    return result


def _taken_away(entry: _Entry, queue: Queue) -> bool:
    mark = mark_of_sigterm(entry.ticket.paths.folder, entry.ticket.job_id)
    return queue.taken_away(entry.last_state) or (entry.last_state == "FAILED" and mark.exists())


def _death(entry: _Entry, queue: Queue) -> JobReturn:
    """The result of a job that ended without one."""
    files = [entry.ticket.paths.stderr, entry.ticket.paths.stdout]
    there = [path for path in files if path.exists()]
    full = [path for path in there if path.stat().st_size]
    state = entry.last_state or "gone from the queue"
    message = f"{_called(entry, queue)}: {state}{queue.advice(state)}"
    if not there:
        return failed(f"{message}; it wrote no log", message)
    path = (full or there)[0]
    lines = path.read_text(errors="replace").splitlines()[-_TAIL:]
    details = "\n".join([message, f"{path}:", *lines])
    return failed(f"{message}; its log: {_short(path)}", details)


def _called(entry: _Entry, queue: Queue) -> str:
    return f"{queue.name} job {entry.ticket.job_id}"


def _short(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
