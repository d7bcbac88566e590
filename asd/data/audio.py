"""Sound files to samples, and everything that can be wrong with a sound file."""

from __future__ import annotations

import re
import stat
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

CONTAINERS = ("WAV", "WAVEX", "RF64", "FLAC", "AIFF")  # libsndfile's names
FLOATS = ("FLOAT", "DOUBLE")
EIGHT_BIT = ("PCM_U8", "PCM_S8", "ULAW", "ALAW")
_SIZE_NOT_KNOWN = 0xFFFFFFFF  # written by programs that stream a WAV, and by RF64
# What a header may ask for, so that a damaged one takes neither all memory nor all day.
_RATES = (1_000, 1_000_000)  # Hz
_MOST_SAMPLES = 2**28  # of all channels: 4 hours of one at 16 kHz, 1 GB as float32
_MOST_BYTES = 8 * _MOST_SAMPLES
_LOUDEST = 2.0**31  # full scale of 32-bit integers that were written as floats


@dataclass(frozen=True)
class ClipFacts:
    """What reading a clip once tells about it."""

    size: int  # bytes
    mtime_ns: int  # the file's time stamp before it was read
    hash: str  # asd.data.manifest.content_hash of its bytes
    samples: int  # per channel, at the file's own rate
    rate: int  # Hz
    subtype: str  # libsndfile's name of the sample format, e.g. PCM_16
    peak: float  # largest magnitude in the channel read; above 1 only in float files


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

        16-bit files are read as integers, which is several times faster. All others go through
        libsndfile's conversion to float32; float files are not clipped.

        Args:
            path: WAV, FLAC or AIFF, whatever its name.
            channel: which channel of a file with several: its number from 0, or "mean" of all.

        Raises:
            AsdError: the file is missing, damaged, joined of two, of another format, larger than
                memory should hold, has NaN, infinite or absurd samples, or has not the channel, or
                several and none is chosen.
        """
        data, mtime_ns = _read_bytes(path)
        raw, rate, subtype = _decode(path, data)
        mono = _pick(path, raw, channel)
        peak = max(float(mono.max()), -float(mono.min())) / (32768 if mono.dtype == np.int16 else 1)
        if not peak <= _LOUDEST:  # not so of NaN, too
            raise AsdError(f"{path}: has samples of {peak:.3g}, 1 is full scale: export it again")
        facts = ClipFacts(len(data), mtime_ns, content_hash(data), len(raw), rate, subtype, peak)
        return cls(path, facts, mono)

    def fault(self, clipped: float) -> str:
        """``silent``; or ``clipped: ...``, with more than this part at full scale; else empty."""
        if np.ptp(self.mono) == 0:
            return "silent"
        full = 0.9999 * (32768 if self.mono.dtype == np.int16 else 1)
        share = float(np.mean((self.mono >= full) | (self.mono <= -full)))
        if self.facts.peak > 1 or share <= clipped:  # floats may go beyond it
            return ""
        return f"clipped: {100 * share:.3g} % of the samples at full scale"

    def signal(self, rate: int) -> NDArray[np.float32]:
        """The channel at a rate in Hz: float32 [``resampled_length``], full scale 1.

        16-bit samples are divided by 32768, as libsndfile does it. At another rate than the file's
        ``scipy.signal.resample_poly`` gives them: zero phase, Kaiser window with beta 5; it may
        overshoot [-1, 1] by a few percent.
        """
        signal, own = _to_float(self.mono), self.facts.rate
        if own == rate:
            return signal
        from scipy.signal import resample_poly

        divisor = gcd(own, rate)
        resampled = resample_poly(signal, rate // divisor, own // divisor)
        return np.ascontiguousarray(resampled, dtype=np.float32)


def resampled_length(samples: int, rate: int, new_rate: int) -> int:
    """Samples of a signal once it is brought to another rate in Hz."""
    return -(-samples * new_rate // rate)


def _read_bytes(path: Path) -> tuple[bytes, int]:
    """Content of a regular file, and its time stamp before it was read."""
    try:
        status = path.stat()  # first: to open a pipe may take for ever
        if not stat.S_ISREG(status.st_mode):
            raise AsdError(f"{path}: no regular file but a folder, pipe or device: remove it")
        if status.st_size > _MOST_BYTES:
            raise AsdError(f"{path}: {status.st_size} bytes are no clip: cut it into clips")
        with path.open("rb") as file:
            return file.read(status.st_size), status.st_mtime_ns
    except OSError as error:
        raise AsdError(
            f"{path}: cannot be read ({error.strerror or error}): put the file there, or give "
            "yourself permission to read it"
        ) from error


class _Content(BytesIO):
    """A file's bytes; what a damaged header asks for beyond them is the end, or the beginning."""

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):  # libsndfile could only print it
            return super().seek(0)


def _decode(path: Path, data: bytes) -> tuple[NDArray[Any], int, str]:
    """Samples as int16 (16-bit files) or float32 [samples, channels], rate in Hz, subtype."""
    import soundfile

    try:
        with soundfile.SoundFile(_Content(data)) as sound:
            promised, rate, subtype = sound.frames, sound.samplerate, sound.subtype
            plain = subtype.startswith("PCM_") or subtype in FLOATS + EIGHT_BIT
            if sound.format not in CONTAINERS or not plain:
                raise AsdError(
                    f"{path}: {sound.format} with {subtype} is not read: use the recording before "
                    "compression, or convert it to 16-bit WAV; what MP3 and the like have taken "
                    "away stays lost then"
                )
            if fault := _fault(data):
                raise AsdError(f"{path}: {fault}: copy it again")
            size, (slowest, fastest) = promised * sound.channels, _RATES
            if not (0 < size <= _MOST_SAMPLES and slowest <= rate <= fastest):
                raise AsdError(
                    f"{path}: says to hold {promised} samples of {sound.channels} channels at "
                    f"{rate} Hz (read are up to {_MOST_SAMPLES} in all, at {slowest} to {fastest} "
                    "Hz): encode it again, or cut it into clips"
                )
            raw = sound.read(dtype="int16" if subtype == "PCM_16" else "float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AsdError(
            f"{path}: no readable WAV, FLAC or AIFF file ({len(data)} bytes; "
            f"{error.error_string}): copy it again, or convert it to 16-bit WAV"
        ) from error
    if missing := promised - len(raw):
        raise AsdError(f"{path}: cut short, {missing} samples are missing: copy it again")
    return raw, rate, subtype


def _fault(data: bytes) -> str:
    """How a file is cut, damaged or joined, or nothing; libsndfile reads a part without a word."""
    again = rb"(?:.\0\0\x22|....AIF[CF]|....WAVE)"  # the first of FLAC
    if re.compile(re.escape(data[:4]) + again, re.S).search(data, 4):
        return "a second sound file begins within it"
    if (data[:4], data[8:12]) in ((b"FORM", b"AIFF"), (b"FORM", b"AIFC")):
        samples, order = b"SSND", ">"
    elif data[:4] in (b"RIFF", b"RIFX", b"RF64") and data[8:12] == b"WAVE":
        samples, order = b"data", ">" if data[:4] == b"RIFX" else "<"
    else:
        return ""
    position, long_size = 12, 0
    while position + 8 <= len(data):
        name, length = struct.unpack_from(f"{order}4sI", data, position)
        if name == b"ds64" and position + 24 <= len(data):
            long_size = struct.unpack_from("<QQ", data, position + 8)[1]
        if name == samples:
            promised = long_size if length == _SIZE_NOT_KNOWN else length
            lacking = position + 8 + int(promised) - len(data)
            return f"cut short, {lacking} bytes are missing" if lacking > 0 else ""
        position += 8 + length + length % 2
    return ""


def _pick(path: Path, raw: NDArray[Any], channel: Channel) -> NDArray[Any]:
    """The channel wanted of [samples, channels]: [samples]."""
    count = raw.shape[1]
    if channel == "mean":
        return np.asarray(_to_float(raw).mean(axis=1))
    if (channel is None and count > 1) or (channel or 0) >= count:
        raise AsdError(
            f"{path}: {count} channels: choose one with data.channel=0..{count - 1}, or their "
            "mean with data.channel=mean; asd.score: --channel "
            f"(it is {'null' if channel is None else channel})"
        )
    return raw[:, channel or 0]


def _to_float(raw: NDArray[Any]) -> NDArray[np.float32]:
    if raw.dtype == np.int16:
        return raw.astype(np.float32) * np.float32(1 / 32768)
    return np.ascontiguousarray(raw, dtype=np.float32)
