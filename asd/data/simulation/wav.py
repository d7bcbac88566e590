"""WAV files of the simulated corpus, 16-bit mono, and how large they are."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

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
