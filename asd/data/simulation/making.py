"""Makes clips as WAV files, 16-bit mono, in this process or in several."""

from __future__ import annotations

import io
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asd.cores import cores
from asd.data.manifest import content_hash
from asd.data.simulation.clip import ClipName, SoundSettings, render
from asd.files import replacing

log = logging.getLogger(__name__)

Work = list[tuple[ClipName, int]]  # clips and their lengths in samples
LONG_S = 400.0  # sound, above which starting worker processes pays
PART = 16  # clips that a worker takes at a time
HEADER_BYTES = 44  # of a mono 16-bit PCM WAV as libsndfile writes it
TEMPORARY = ".partial"  # how the name of a file ends that `asd.files.replacing` is writing


def wav_bytes(samples: int) -> int:
    """Size of the file of a clip of so many samples."""
    return HEADER_BYTES + 2 * samples


def encode_wav(samples: NDArray[np.int16], rate: int) -> bytes:
    """The WAV file of these samples, [n] at ``rate`` Hz."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, subtype="PCM_16", format="WAV")
    return buffer.getvalue()


def make_clip(folder: Path, settings: SoundSettings, clip: ClipName, samples: int) -> str:
    """Make one clip, or leave it if it is there with the right size; its content's hash.

    Raises:
        OSError: it cannot be written.
    """
    path = folder / clip.path
    try:
        if path.stat().st_size == wav_bytes(samples):
            return content_hash(path.read_bytes())
    except FileNotFoundError:
        pass
    data = encode_wav(render(settings, clip, samples), settings.rate)
    with replacing(path) as temporary:
        temporary.write_bytes(data)
    return content_hash(data)


def make_clips(
    folder: Path,
    settings: SoundSettings,
    work: Work,
    workers: int | None,
    advance: Callable[[int], None],
) -> dict[str, str]:
    """Make clips.

    Args:
        folder: the corpus's folder.
        work: clips and their lengths.
        workers: processes; None: all cores if there is long work, else this process alone.
        advance: called with the number of clips just made.

    Returns:
        path -> hash of the content.

    Raises:
        OSError: a clip cannot be written.
    """
    hashes: dict[str, str] = {}
    processes = min(_processes(settings, work, workers), -(-len(work) // PART))
    if processes > 1:
        try:
            results = _in_processes(folder, settings, work, processes)
            for (clip, _), digest in zip(work, results, strict=True):
                hashes[clip.path] = digest
                advance(1)
        except BrokenProcessPool:
            log.warning("the worker processes ended early; this process makes the other clips")
    for clip, samples in work:
        if clip.path not in hashes:
            hashes[clip.path] = make_clip(folder, settings, clip, samples)
            advance(1)
    return hashes


def _processes(settings: SoundSettings, work: Work, workers: int | None) -> int:
    if multiprocessing.current_process().daemon:
        return 1  # a daemon may not have children
    if workers is not None:
        return workers
    if sum(samples for _, samples in work) < LONG_S * settings.rate:
        return 1
    return cores()


def _in_processes(
    folder: Path, settings: SoundSettings, work: Work, processes: int
) -> Iterator[str]:
    # spawn, not fork: the caller may have threads (torch, numba) that a fork would leave locked
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(processes, mp_context=context, initializer=_start_worker)
    try:
        make = partial(make_clip, folder, settings)
        yield from executor.map(make, *zip(*work, strict=True), chunksize=PART)
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    """Ctrl-C is the parent's to handle, and a worker does not outlive a killed parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
