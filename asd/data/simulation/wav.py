"""WAV files of the simulated corpus: 16-bit mono in memory, and files that appear whole."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HEADER_BYTES = 44  # of a mono 16-bit PCM WAV as libsndfile writes it
TEMPORARY = ".tmp"  # how the name of a file that is being written ends


def wav_bytes(samples: int) -> int:
    """Size of the file of a clip of so many samples."""
    return HEADER_BYTES + 2 * samples


def encode_wav(samples: NDArray[np.int16], rate: int) -> bytes:
    """The WAV file of these samples, [n] at ``rate`` Hz."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, subtype="PCM_16", format="WAV")
    return buffer.getvalue()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is either there with all its bytes or not there.

    Raises:
        OSError: it cannot be written; nothing is left of it.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
