"""Sound files to samples, and everything that can be wrong with a sound file."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from io import BytesIO
from math import gcd
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from asd.data.manifest import content_hash
from asd.errors import AsdError

Channel = int | Literal["mean"] | None

CONTAINERS = ("WAV", "WAVEX", "RF64", "FLAC")  # lossless; libsndfile's names
FLOATS = ("FLOAT", "DOUBLE")
EIGHT_BIT = ("PCM_U8", "PCM_S8", "ULAW", "ALAW")
_SIZE_NOT_KNOWN = 0xFFFFFFFF  # written by programs that stream a WAV, and by RF64
_LONGEST = 2**40  # frames; a FLAC file without a length claims more


@dataclass(frozen=True)
class ClipFacts:
    """What reading a clip once tells about it."""

    size: int  # bytes
    mtime_ns: int  # the file's time stamp before it was read
    hash: str  # asd.data.manifest.content_hash of its bytes
    samples: int  # per channel, at the file's own rate
    rate: int  # Hz
    subtype: str  # libsndfile's name of the sample format, e.g. PCM_16
    silent: bool  # every sample of the channel read is zero
    beyond: bool  # some sample of the channel read is outside [-1, 1]; only float files can be


@dataclass(frozen=True)
class Recording:
    """One channel of a sound file, checked and decoded from bytes that were read once.

    ``mono`` [samples] at the file's own rate, int16 (16-bit files) or float32.
    """

    path: Path
    facts: ClipFacts
    mono: NDArray[Any]

    @classmethod
    def read(cls, path: Path, channel: Channel) -> Recording:
        """Read the file.

        Raises:
            AsdError: the file is missing, unreadable, empty, cut short or no plain WAV or FLAC,
                or holds NaN or infinite samples, or has not the channel, or several and none is
                chosen; says what to do.
        """
        try:
            with path.open("rb") as file:
                mtime_ns = os.fstat(file.fileno()).st_mtime_ns
                data = file.read()
        except OSError as error:
            raise AsdError(
                f"{path}: cannot be read ({error.strerror or error}): put the file there, or give "
                "yourself permission to read it"
            ) from error
        raw, rate, subtype = _decode(path, data)
        mono = _pick(path, raw, channel)
        beyond = subtype in FLOATS and bool(abs(mono).max() > 1)
        size, content, silent = len(data), content_hash(data), not mono.any()
        facts = ClipFacts(size, mtime_ns, content, len(raw), rate, subtype, silent, beyond)
        return cls(path, facts, mono)

    def signal(self, rate: int) -> NDArray[np.float32]:
        """The channel at a rate in Hz, as ``read_clip`` gives it."""
        signal = _to_float(self.mono)
        return signal if self.facts.rate == rate else resample(signal, self.facts.rate, rate)


def read_clip(path: Path | str, rate: int, channel: Channel = None) -> NDArray[np.float32]:
    """One clip as a mono signal.

    16-bit files are read as integers and divided by 32768, which gives the same values as
    libsndfile's own float conversion and is several times faster. 8-bit, 24-bit, 32-bit, float and
    FLAC files go through libsndfile's conversion; float files are not clipped, so their samples may
    lie outside [-1, 1]. A file at another rate is resampled by ``scipy.signal.resample_poly``
    (zero phase, Kaiser window with beta 5), which may overshoot [-1, 1] by a few percent.

    Args:
        path: a WAV or FLAC file.
        rate: the rate wanted in Hz.
        channel: which channel of a file with several: its number from 0, or "mean" of all.

    Returns:
        float32 [samples], in [-1, 1].

    Raises:
        AsdError: as ``Recording.read``.
    """
    return Recording.read(Path(path), channel).signal(rate)


def resample(signal: NDArray[np.float32], rate: int, new_rate: int) -> NDArray[np.float32]:
    """The signal [samples] at another rate in Hz: float32 [ceil(samples * new_rate / rate)]."""
    from scipy.signal import resample_poly

    divisor = gcd(rate, new_rate)
    resampled = resample_poly(signal, new_rate // divisor, rate // divisor)
    return np.ascontiguousarray(resampled, dtype=np.float32)


def _decode(path: Path, data: bytes) -> tuple[NDArray[Any], int, str]:
    """Samples as int16 (16-bit files) or float32 [samples, channels], rate in Hz, subtype."""
    import soundfile

    try:
        with soundfile.SoundFile(BytesIO(data)) as sound:
            promised, rate, subtype = sound.frames, sound.samplerate, sound.subtype
            plain = subtype.startswith("PCM_") or subtype in FLOATS + EIGHT_BIT
            if sound.format not in CONTAINERS or not plain:
                kind = f"{sound.format} with {subtype}"
                raise AsdError(f"{path}: {kind}, not plain WAV or FLAC: convert it to 16-bit WAV")
            if missing := _missing_bytes(data):
                raise AsdError(f"{path}: cut short, {missing} bytes are missing: copy it again")
            if not 0 < promised < _LONGEST:
                raise AsdError(f"{path}: says to hold {promised} samples: encode it again")
            raw = sound.read(dtype="int16" if subtype == "PCM_16" else "float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AsdError(
            f"{path}: no readable WAV or FLAC file ({len(data)} bytes; {error.error_string}): "
            "copy it again, or convert it to 16-bit WAV"
        ) from error
    if missing := promised - len(raw):
        raise AsdError(f"{path}: cut short, {missing} samples are missing: copy it again")
    if subtype in FLOATS and not np.isfinite(raw).all():
        count = int((~np.isfinite(raw)).any(axis=1).sum())
        raise AsdError(
            f"{path}: {count} of {len(raw)} samples are NaN or infinite: export it again"
        )
    return raw, rate, subtype


def _missing_bytes(data: bytes) -> int:
    """Bytes that a WAV file's data chunk promises beyond the file's end.

    libsndfile reads such a file without a word, only shorter.
    """
    if data[:4] not in (b"RIFF", b"RIFX", b"RF64") or data[8:12] != b"WAVE":
        return 0
    order = ">" if data[:4] == b"RIFX" else "<"
    position, long_size = 12, 0
    while position + 8 <= len(data):
        name, length = struct.unpack_from(f"{order}4sI", data, position)
        if name == b"ds64" and position + 24 <= len(data):
            long_size = struct.unpack_from("<QQ", data, position + 8)[1]
        if name == b"data":
            promised = long_size if length == _SIZE_NOT_KNOWN else length
            return max(0, position + 8 + int(promised) - len(data))
        position += 8 + length + length % 2
    return 0


def _pick(path: Path, raw: NDArray[Any], channel: Channel) -> NDArray[Any]:
    """The channel wanted of [samples, channels]: [samples]."""
    count = raw.shape[1]
    if channel == "mean":
        return np.asarray(_to_float(raw).mean(axis=1))
    if (channel is None and count > 1) or (channel or 0) >= count:
        raise AsdError(
            f"{path}: {count} channels: choose one with data.channel=0..{count - 1}, or their "
            f"mean with data.channel=mean (it is {'null' if channel is None else channel})"
        )
    return raw[:, channel or 0]


def _to_float(raw: NDArray[Any]) -> NDArray[np.float32]:
    if raw.dtype == np.int16:
        return raw.astype(np.float32) * np.float32(1 / 32768)
    return np.ascontiguousarray(raw, dtype=np.float32)
