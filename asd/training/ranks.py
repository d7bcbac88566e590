"""Several processes train one detector: they are started, listened to and ended here.

Lightning can start them itself, but by running the whole program again, or in a way that leaves
signals, locks and what is told of each epoch to every one of them. Here the calling process keeps
all that: the others (``asd.training.rank``) do nothing but train.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
import torch.distributed as dist

from asd.features.batches import Place
from asd.models.detector import Detector
from asd.training.loop import Job
from asd.training.rank import Work, run_rank

# Seconds: within the first, a process that died is found before those who miss it are believed;
# after the second, one that is done and does not go is ended.
_GRACE, _GOODBYE = 1.0, 10.0


class RankDiedError(RuntimeError):
    """A process that trains ended without a word: killed, by the system for its memory perhaps."""


class _Rank(NamedTuple):
    process: SpawnProcess
    line: Connection


def train_together(
    job: Job,
    detector: Detector,
    values: np.ndarray,
    device: str,
    on_epoch: Callable[[int, dict[str, float]], None],
    extra: Sequence[pl.Callback] = (),
) -> None:
    """Train on ``trainer.devices`` devices; see ``asd.training.loop.run_trainer``.

    Args:
        job: what is to be done.
        detector: untrained, and left so.
        values: [frames, bands] features.
        device: ``cpu`` or ``cuda``.
        on_epoch: told of every epoch, here; the processes wait until it returns. What it raises
            ends them at once.
        extra: callbacks, a copy for each process.

    Raises:
        RankDiedError: one of the processes was killed. Whatever else one of them raises is raised
            here too.
    """
    store = dist.TCPStore(  # type: ignore[attr-defined]
        "127.0.0.1", 0, is_master=True, wait_for_workers=False
    )
    random = (torch.initial_seed(), torch.get_rng_state())
    level = logging.getLogger().getEffectiveLevel()
    count = job.options["devices"]
    ranks: list[_Rank] = []
    with _on_disk(values, job.folder / "features.npy.partial") as (path, own):
        # Bytes: a tensor that is sent as such would be one in all processes.
        work = pickle.dumps(Work(job, detector, device, path, extra, random, store.port, level))
        try:
            resource_tracker.ensure_running()  # its start would let signals through again
            with _signals_are_ours():
                for rank in range(count):
                    ranks.append(_start(Place(rank, count), work))
            _listen(ranks, on_epoch, own)
            for started in ranks:
                started.process.join(_GOODBYE)
        finally:
            for started in ranks:
                started.process.kill()
            for started in ranks:
                started.process.join()
                started.line.close()
    _as_the_trainer_leaves_it(job.options["deterministic"])


def _start(place: Place, work: bytes) -> _Rank:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    name = f"training process {place.rank + 1} of {place.ranks}"
    process = context.Process(target=run_rank, args=(place, work, theirs), name=name)
    process.start()
    theirs.close()
    return _Rank(process, ours)


def _listen(
    ranks: list[_Rank], on_epoch: Callable[[int, dict[str, float]], None], features: Path
) -> None:
    """Until all are done. ``features`` goes once all have mapped it: to them, it stays."""
    of_line = {rank.line: rank for rank in ranks}
    unmapped = len(ranks)
    while of_line:
        for line in wait(list(of_line)):
            assert isinstance(line, Connection)
            try:
                word, content = line.recv()
            except (EOFError, ConnectionError):
                raise _death_of(of_line[line]) from None
            if word == "mapped":
                unmapped -= 1
                if not unmapped:
                    features.unlink(missing_ok=True)
            elif word == "log":
                logging.getLogger(content.name).handle(content)
            elif word == "epoch":
                on_epoch(*content)
                line.send(None)
            elif word == "failed":
                _raise(content, [rank for rank in ranks if rank.line is not line])
            else:
                del of_line[line]


def _raise(failure: tuple[BaseException, str], others: list[_Rank]) -> None:
    """Raise what a process failed with, or the death of another that made it fail."""
    error, trace = failure
    dead = wait([rank.process.sentinel for rank in others], _GRACE)
    for rank in others:
        if rank.process.sentinel in dead and rank.process.exitcode != 0:
            raise _death_of(rank) from error
    logging.getLogger(__name__).debug("in a training process: %s", trace)
    error.add_note(f"In a training process:\n{trace}")
    raise error


def _death_of(rank: _Rank) -> RankDiedError:
    rank.process.join(_GRACE)
    code = rank.process.exitcode
    how = f"was ended by signal {-code}" if code is not None and code < 0 else f"exited with {code}"
    hint = " (out of memory?)" if code == -signal.SIGKILL else ""
    return RankDiedError(f"{rank.process.name} {how}{hint}")


@contextmanager
def _signals_are_ours() -> Iterator[None]:
    """What starts in here never gets Ctrl-C or SIGTERM: this process does, and ends the others."""
    ours = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ours)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _on_disk(values: np.ndarray, path: Path) -> Iterator[tuple[Path, Path]]:
    """The features as a file, which all processes can map: one copy in memory for all of them.

    Shared memory would do the same, but containers have little of it.

    Yields:
        the file: the one that they are mapped from already, or a new one at ``path``; and ``path``.
    """
    there = values.filename if isinstance(values, np.memmap) else None
    if there is not None:
        whole = np.load(there, mmap_mode="r")
        if (whole.shape, whole.dtype) == (values.shape, values.dtype):
            yield Path(there), path
            return
    try:
        with path.open("wb") as file:
            np.save(file, values)
        yield path, path
    finally:
        path.unlink(missing_ok=True)


def _as_the_trainer_leaves_it(deterministic: bool) -> None:
    """Scoring comes next, in this process, where no Trainer has set torch's switches."""
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.benchmark = not deterministic
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
