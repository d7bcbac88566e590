"""One of the processes that train together: what it does from its start to its end.

It talks to the process that started it (``asd.training.ranks``) in messages of two parts: a word,
and what belongs to it.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import pickle
import socket
import threading
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
import torch.distributed as dist

from asd.features.batches import Place
from asd.models.detector import Detector
from asd.training.loop import PATIENCE, Job, run_trainer
from asd.training.parent import end_with_parent
from asd.training.speed import set_threads, step_flop


@dataclass(frozen=True)
class Work:
    """What a process gets when it starts, pickled with copies of all tensors.

    Args:
        job: what is to be done.
        detector: untrained.
        device: ``cpu`` or ``cuda``.
        values: [frames, bands] features, an ``.npy`` that all processes map into memory.
        extra: callbacks.
        random: torch's seed and state on the CPU, as a single process would find them.
        port: of the store through which the processes find each other.
        log_level: of what the first process says.
    """

    job: Job
    detector: Detector
    device: str
    values: Path
    extra: Sequence[pl.Callback]
    random: tuple[int, torch.Tensor]
    port: int
    log_level: int


def run_rank(place: Place, work: bytes, line: Connection) -> None:
    """Train at ``place``; say ``mapped``, ``epoch``, ``log``, in the end ``done`` or ``failed``.

    After ``epoch`` it waits for an answer. After ``failed`` it waits for its end: would it go, the
    others would fail too, and hide the cause.
    """
    end_with_parent()
    speak = _Speaker(line)
    try:
        _train(place, pickle.loads(work), speak)
    except BaseException as error:  # whatever it is, it is raised where the user sees it
        speak("failed", (_sendable(error), traceback.format_exc()))
        line.recv()
    speak("done", None)


def _train(place: Place, work: Work, speak: _Speaker) -> None:
    root = logging.getLogger()
    root.addHandler(_Forward(speak))
    root.setLevel(work.log_level if place.rank == 0 else logging.WARNING)
    values = np.load(work.values, mmap_mode="c")
    speak("mapped", None)
    job, options = work.job, work.job.options
    device = torch.device("cpu")
    if work.device == "cuda":
        device = torch.device("cuda", place.rank)
        torch.cuda.set_device(device)
    flop = step_flop(work.detector, options["batch_size"])
    set_threads(options["threads"], flop, place.ranks)
    _join(place, work.port, device)
    seed, state = work.random
    torch.manual_seed(seed)
    torch.set_rng_state(state)

    def on_epoch(epoch: int, values: dict[str, float]) -> None:
        speak("epoch", (epoch, values))
        speak.line.recv()

    run_trainer(job, work.detector, values, device, on_epoch, work.extra, place)
    dist.destroy_process_group()


def _join(place: Place, port: int, device: torch.device) -> None:
    """Become one of the group."""
    backend = "nccl" if device.type == "cuda" else "gloo"
    if backend == "gloo" and "GLOO_SOCKET_IFNAME" not in os.environ:
        # All on this computer, whatever its name resolves to.
        own = [name for _, name in socket.if_nameindex() if name in ("lo", "lo0")]
        if own:
            os.environ["GLOO_SOCKET_IFNAME"] = own[0]
    store = dist.TCPStore("127.0.0.1", port, is_master=False)  # type: ignore[attr-defined]
    dist.init_process_group(
        backend,
        store=store,
        rank=place.rank,
        world_size=place.ranks,
        timeout=PATIENCE,
        device_id=device if device.type == "cuda" else None,
    )


class _Speaker:
    """Sends whole messages, whichever thread has something to say."""

    def __init__(self, line: Connection) -> None:
        self.line = line
        self._lock = threading.Lock()

    def __call__(self, word: str, content: Any) -> None:
        with self._lock:
            self.line.send((word, content))


class _Forward(logging.handlers.QueueHandler):
    """Has log records handled in the parent, which knows the run's log file."""

    def __init__(self, speak: _Speaker) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self.speak = speak

    def enqueue(self, record: logging.LogRecord) -> None:
        self.speak("log", record)


def _sendable(error: BaseException) -> BaseException:
    """The error itself if it can be told, or one with its text."""
    try:
        copy = pickle.loads(pickle.dumps(error))
    except Exception:
        copy = None
    if type(copy) is type(error) and str(copy) == str(error):
        return error
    return RuntimeError(f"{type(error).__name__}: {error}")
