"""Sound files to samples, and everything that can be wrong with a sound file."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from asd.errors import AsdError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Channel = int | Literal["mean"] | None

CONTAINERS = ("WAV", "WAVEX", "RF64", "FLAC")  # lossless; libsndfile's names
FLOATS = ("FLOAT", "DOUBLE")
EIGHT_BIT = ("PCM_U8", "PCM_S8", "ULAW", "ALAW")
_SIZE_NOT_KNOWN = 0xFFFFFFFF  # written by programs that stream a WAV, and by RF64
_LONGEST = 2**40  # frames; a FLAC file without a length claims more


class ClipError(AsdError):
    """A sound file that cannot be used; ``reason`` says why and what to do, without the name."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True)
class ClipFacts:
    """What reading a clip once tells about it."""

    samples: int  # per channel, at the file's own rate
    rate: int  # Hz
    channels: int
    subtype: str  # libsndfile's name of the sample format, e.g. PCM_16
    silent: bool  # every sample of the channel read is zero
    beyond: bool  # some sample of the channel read is outside [-1, 1]; only float files can be


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
        AsdError: the file is missing, unreadable, empty, cut short or no sound file, holds NaN or
            infinite samples, or has several channels and none is chosen.
    """
    check_channel(channel)
    if rate < 1:
        raise AsdError(f"data.rate={rate}: must be at least 1 Hz")
    raw, own_rate, _ = _decode(Path(path))
    signal = _to_float(_pick(Path(path), raw, channel))
    return signal if own_rate == rate else resample(signal, own_rate, rate)


def inspect_clip(path: Path, channel: Channel = None) -> ClipFacts:
    """Read and check a clip exactly as ``read_clip`` does, but for the resampling.

    Raises:
        AsdError: as ``read_clip``.
    """
    raw, rate, subtype = _decode(path)
    picked = _pick(path, raw, channel)
    beyond = subtype in FLOATS and bool(abs(picked).max() > 1)
    return ClipFacts(len(raw), rate, raw.shape[1], subtype, not picked.any(), beyond)


def resample(signal: NDArray[np.float32], rate: int, new_rate: int) -> NDArray[np.float32]:
    """The signal [samples] at another rate in Hz: float32 [ceil(samples * new_rate / rate)]."""
    import numpy as np
    from scipy.signal import resample_poly

    divisor = gcd(rate, new_rate)
    resampled = resample_poly(signal, new_rate // divisor, rate // divisor)
    return np.ascontiguousarray(resampled, dtype=np.float32)


def check_channel(channel: object) -> None:
    """Refuse what is no channel.

    Raises:
        AsdError: it is none of None, "mean" and a whole number from 0.
    """
    whole = isinstance(channel, int) and not isinstance(channel, bool) and channel >= 0
    if not (whole or channel is None or channel == "mean"):
        raise AsdError(
            f"data.channel={channel}: must be a channel number from 0, mean, or null (mono files)"
        )


def _decode(path: Path) -> tuple[NDArray[Any], int, str]:
    """Samples as int16 (16-bit files) or float32 [samples, channels], rate in Hz, subtype."""
    import numpy as np
    import soundfile

    try:
        with path.open("rb") as handle:
            size = handle.seek(0, 2)
            if size == 0:
                raise ClipError(path, "empty file (0 bytes): copy it again")
            missing = _missing_bytes(handle, size)
    except OSError as error:
        raise ClipError(path, os_reason(error)) from error
    if missing:
        reason = f"cut short, {missing} bytes of its samples are missing: copy it again"
        raise ClipError(path, reason)

    try:
        with soundfile.SoundFile(path) as sound:
            promised, rate, subtype = sound.frames, sound.samplerate, sound.subtype
            plain = subtype.startswith("PCM_") or subtype in FLOATS + EIGHT_BIT
            if sound.format not in CONTAINERS or not plain:
                kind = f"{sound.format} with {subtype}"
                reason = f"holds {kind}, not plain WAV or FLAC: convert it to 16-bit WAV"
                raise ClipError(path, reason)
            if promised >= _LONGEST:
                raise ClipError(path, "does not say how long it is: encode it again")
            raw = sound.read(dtype="int16" if subtype == "PCM_16" else "float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        reason = f"no readable WAV or FLAC file ({error.error_string.rstrip('. ')}): "
        raise ClipError(path, reason + "copy it again, or convert it to 16-bit WAV") from error
    if promised == 0:
        raise ClipError(path, "has a header but no samples: record or copy it again")
    if len(raw) < promised:
        reason = f"cut short, {promised - len(raw)} of {promised} samples are missing: "
        raise ClipError(path, reason + "copy it again")
    if subtype in FLOATS and not np.isfinite(raw).all():
        count = int((~np.isfinite(raw)).any(axis=1).sum())
        reason = f"{count} of {len(raw)} samples are NaN or infinite: export it again"
        raise ClipError(path, reason)
    return raw, rate, subtype


def _missing_bytes(handle: BinaryIO, size: int) -> int:
    """Bytes that a WAV file's data chunk promises beyond the file's end.

    libsndfile reads such a file without a word, only shorter.
    """
    handle.seek(0)
    head = handle.read(12)
    if head[:4] not in (b"RIFF", b"RIFX", b"RF64") or head[8:] != b"WAVE":
        return 0
    order = ">" if head[:4] == b"RIFX" else "<"
    name: bytes
    length: int
    position, long_size = 12, 0
    while position + 8 <= size:
        handle.seek(position)
        name, length = struct.unpack(f"{order}4sI", handle.read(8))
        if name == b"ds64":
            sizes = handle.read(16)
            long_size = struct.unpack("<QQ", sizes)[1] if len(sizes) == 16 else 0
        if name == b"data":
            if length == _SIZE_NOT_KNOWN:
                length = long_size
            return max(0, position + 8 + length - size)
        position += 8 + length + length % 2
    return 0


def _pick(path: Path, raw: NDArray[Any], channel: Channel) -> NDArray[Any]:
    """The channel wanted, [samples]."""
    channels = raw.shape[1]
    if channel is None and channels > 1:
        raise ClipError(
            path,
            f"{channels} channels: choose one with data.channel=0..{channels - 1}, "
            "or their mean with data.channel=mean",
        )
    if isinstance(channel, int) and channel >= channels:
        numbers = "only data.channel=0" if channels == 1 else f"data.channel=0..{channels - 1}"
        raise ClipError(path, f"has no channel {channel}: {numbers} can be chosen")
    if channel == "mean" and channels > 1:
        mean: NDArray[Any] = _to_float(raw).mean(axis=1)
        return mean
    picked: NDArray[Any] = raw[:, channel if isinstance(channel, int) else 0]
    return picked


def _to_float(raw: NDArray[Any]) -> NDArray[np.float32]:
    import numpy as np

    if raw.dtype == np.int16:
        return raw.astype(np.float32) * np.float32(1 / 32768)
    return np.ascontiguousarray(raw, dtype=np.float32)


def os_reason(error: OSError) -> str:
    """Why a file could not be read and what to do, for a ``ClipError``."""
    if isinstance(error, FileNotFoundError):
        return "is not there (moved or deleted, or a broken link): put it back"
    if isinstance(error, PermissionError):
        return "may not be read: give yourself permission (chmod u+r)"
    if isinstance(error, IsADirectoryError):
        return "is a folder, not a file: rename or move it"
    return f"cannot be read ({error.strerror or error}): copy it again"
