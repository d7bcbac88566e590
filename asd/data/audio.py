"""Sound files to samples, and everything that can be wrong with a sound file."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from io import BytesIO
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from asd.data.manifest import content_hash
from asd.errors import AsdError
from asd.options import check_whole

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
    """The content of a sound file, checked and decoded from bytes that were read once.

    ``raw`` [samples, channels] at ``rate`` Hz, int16 (16-bit files) or float32; the other fields
    are those of ``ClipFacts``.
    """

    path: Path
    size: int
    mtime_ns: int
    hash: str
    raw: NDArray[Any]
    rate: int
    subtype: str

    @classmethod
    def read(cls, path: Path) -> Recording:
        """Read the file.

        Raises:
            ClipError: the file is missing, unreadable, empty, cut short or no plain WAV or FLAC,
                or holds NaN or infinite samples.
        """
        try:
            with path.open("rb") as file:
                mtime_ns = os.fstat(file.fileno()).st_mtime_ns
                data = file.read()
        except OSError as error:
            raise ClipError(path, _os_reason(error)) from error
        return cls(path, len(data), mtime_ns, content_hash(data), *_decode(path, data))

    def facts(self, channel: Channel) -> ClipFacts:
        """What is to be known of the file, and of this channel.

        Raises:
            ClipError: there are several channels and none is chosen, or it is not there.
        """
        picked, samples = self._pick(channel), len(self.raw)
        beyond = self.subtype in FLOATS and bool(abs(picked).max() > 1)
        file = (self.size, self.mtime_ns, self.hash)
        return ClipFacts(*file, samples, self.rate, self.subtype, not picked.any(), beyond)

    def signal(self, rate: int, channel: Channel) -> NDArray[np.float32]:
        """One channel at a rate in Hz, as ``read_clip`` gives it.

        Raises:
            ClipError: as ``facts``.
        """
        signal = _to_float(self._pick(channel))
        return signal if self.rate == rate else resample(signal, self.rate, rate)

    def _pick(self, channel: Channel) -> NDArray[Any]:
        """The channel wanted, [samples]."""
        channels = self.raw.shape[1]
        if channel is None and channels > 1:
            reason = f"{channels} channels: choose one with data.channel=0..{channels - 1}, "
            raise ClipError(self.path, reason + "or their mean with data.channel=mean")
        if isinstance(channel, int) and channel >= channels:
            numbers = "only data.channel=0" if channels == 1 else f"data.channel=0..{channels - 1}"
            raise ClipError(self.path, f"has no channel {channel}: {numbers} can be chosen")
        if channel == "mean" and channels > 1:
            mean: NDArray[Any] = _to_float(self.raw).mean(axis=1)
            return mean
        picked: NDArray[Any] = self.raw[:, channel if isinstance(channel, int) else 0]
        return picked


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
        AsdError: as ``Recording.read`` and ``Recording.facts``, or an option is refused.
    """
    check_channel(channel)
    check_whole("data.rate", rate, 1)
    return Recording.read(Path(path)).signal(rate, channel)


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


def _decode(path: Path, data: bytes) -> tuple[NDArray[Any], int, str]:
    """Samples as int16 (16-bit files) or float32 [samples, channels], rate in Hz, subtype."""
    import numpy as np
    import soundfile

    if not data:
        raise ClipError(path, "empty file (0 bytes): copy it again")
    if missing := _missing_bytes(data):
        reason = f"cut short, {missing} bytes of its samples are missing: copy it again"
        raise ClipError(path, reason)
    try:
        with soundfile.SoundFile(BytesIO(data)) as sound:
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


def _to_float(raw: NDArray[Any]) -> NDArray[np.float32]:
    import numpy as np

    if raw.dtype == np.int16:
        return raw.astype(np.float32) * np.float32(1 / 32768)
    return np.ascontiguousarray(raw, dtype=np.float32)


def _os_reason(error: OSError) -> str:
    """Why a file could not be read and what to do."""
    if isinstance(error, FileNotFoundError):
        return "is not there (moved or deleted, or a broken link): put it back"
    if isinstance(error, PermissionError):
        return "may not be read: give yourself permission (chmod u+r)"
    if isinstance(error, IsADirectoryError):
        return "is a folder, not a file: rename or move it"
    return f"cannot be read ({error.strerror or error}): copy it again"
