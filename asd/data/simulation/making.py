"""Makes clips as WAV files, 16-bit mono, in this process or in several."""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asd.cores import cores
from asd.data.manifest import content_hash
from asd.data.simulation.clip import PlannedClip, SoundSettings, render
from asd.files import replacing

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


def make_clip(folder: Path, settings: SoundSettings, clip: PlannedClip) -> str:
    """Make one clip, or leave it if it is there with the right size; its content's hash.

    Raises:
        OSError: it cannot be written.
    """
    path = folder / clip.path
    if path.exists() and path.stat().st_size == wav_bytes(clip.samples):
        return content_hash(path.read_bytes())
    data = encode_wav(render(settings, clip), settings.rate)
    with replacing(path) as temporary:
        temporary.write_bytes(data)
    return content_hash(data)


def clip_hashes(
    folder: Path, settings: SoundSettings, clips: Sequence[PlannedClip], workers: int | None
) -> Iterator[str]:
    """Make clips; yields the hash of the content of each.

    Args:
        folder: the corpus's folder.
        settings: of their sounds.
        clips: the clips to make.
        workers: processes; None: all cores if there is long work, else this process alone.

    Raises:
        OSError: a clip cannot be written.
        BrokenProcessPool: a worker was killed.
    """
    make = partial(make_clip, folder, settings)
    if workers is None:
        long = sum(clip.samples for clip in clips) >= LONG_S * settings.rate
        workers = cores() if long else 1
    processes = min(workers, -(-len(clips) // PART))
    if processes <= 1 or multiprocessing.current_process().daemon:  # which may not have children
        yield from map(make, clips)
        return
    # spawn, not fork: the caller may have threads (torch, numba) that a fork would leave locked
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(processes, mp_context=context, initializer=_start_worker)
    try:
        yield from executor.map(make, clips, chunksize=PART)
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
