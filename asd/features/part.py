"""A part of the feature store on disk: written clip by clip, and read back with its checksum.

The ``.npy`` holds the features [frames, bands] of the part's clips, one after another. The
``.json`` is written last: without it the part is not whole. Its time stamp is the last use.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Self

import numpy as np

from asd.errors import AsdError
from asd.files import replacing

log = logging.getLogger(__name__)

_GROUP = 1 << 23  # bytes read and checked at once: small beside memory, large beside a call
_DAMAGED = "%s: damaged (%s); computed again"
PARTIAL = ".partial"  # how the name of a part ends while it is written


class DamagedPartError(Exception):
    """Files of a part that do not fit together, or are not as written; the message says how."""


class MissingPartError(DamagedPartError):
    """A part without one of its files, or both."""


def part_file(folder: Path, label: str, hashes: Iterable[str]) -> Path:
    """The ``.npy`` of a part: its name ends with a hash of the clips' contents in this order."""
    key = hashlib.blake2b("\n".join(hashes).encode(), digest_size=6).hexdigest()
    return folder / f"{label}-{key}.npy"


@dataclass
class Record:
    """What the ``.json`` holds: ``frames`` and content ``hashes`` of the clips in order.

    ``crc32`` is that of the values and of the other fields.
    """

    bands: int
    dtype: str
    frames: list[int] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    crc32: int = 0

    def header(self) -> bytes:
        """The start of the ``.npy``; numpy leaves room in it for any number of frames."""
        buffer, shape = BytesIO(), (sum(self.frames), self.bands)
        about = {"descr": np.dtype(self.dtype).str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(buffer, about)
        return buffer.getvalue()

    def checksum(self, of_values: int) -> int:
        """What ``crc32`` must be where the values have this one."""
        return zlib.crc32(json.dumps({**asdict(self), "crc32": 0}).encode(), of_values)


@dataclass(frozen=True)
class StoredPart:
    """A part whose files fit together; whether its bytes are right is known after ``read``.

    ``values`` [frames, bands] are memory-mapped, copy on write: torch takes them as they are, and
    nothing that is done to them reaches the file.
    """

    file: Path
    record: Record
    values: np.memmap

    @classmethod
    def open(cls, file: Path) -> Self:
        """The part, not yet read.

        Raises:
            DamagedPartError: it is not there (then a MissingPartError), or does not fit together.
        """
        label = file.stem.rsplit("-", 1)[0]
        try:
            record = Record(**json.loads(file.with_suffix(".json").read_text(encoding="utf-8")))
            with file.open("rb") as stream:
                header, shape = record.header(), (sum(record.frames), record.bands)
                size = len(header) + math.prod(shape) * np.dtype(record.dtype).itemsize
                fits = (header, size) == (stream.read(len(header)), file.stat().st_size)
                if not fits or file != part_file(file.parent, label, record.hashes):
                    raise DamagedPartError("its files do not fit together")
                values = np.memmap(stream, record.dtype, "c", len(header), shape)
        except FileNotFoundError as error:
            raise MissingPartError("one of its two files is missing") from error
        except (ValueError, TypeError, AttributeError, OSError) as error:
            raise DamagedPartError(str(error)) from error
        return cls(file, record, values)

    def read(self, out: np.ndarray | None = None) -> Self:
        """Read all values once and compare the checksum.

        Args:
            out: [frames, bands] of the part's dtype, to keep what is read; None: only compare.

        Raises:
            DamagedPartError: it is not what was written.
        """
        size, crc32, position = self.values.nbytes, 0, 0
        target = np.empty(min(size, _GROUP), np.uint8) if out is None else out.reshape(-1)
        room = memoryview(target.view(np.uint8))  # type: ignore[arg-type]
        if out is not None and len(room) != size:
            raise DamagedPartError("it has not these clips' frames")
        try:
            with self.file.open("rb", buffering=0) as stream:
                stream.seek(self.values.offset)
                while position < size:
                    begin = 0 if out is None else position
                    count = stream.readinto(room[begin : begin + min(_GROUP, size - position)])
                    if not count:
                        break
                    crc32 = zlib.crc32(room[begin : begin + count], crc32)
                    position += count
        except OSError as error:
            raise DamagedPartError(str(error)) from error
        if position < size or self.record.crc32 != self.record.checksum(crc32):
            raise DamagedPartError("it has another checksum")
        return self


def is_there(file: Path, say: bool = False) -> bool:
    """Whether a part can be opened; ``say`` warns if it is damaged."""
    try:
        StoredPart.open(file)
    except DamagedPartError as error:
        if say and not isinstance(error, MissingPartError):
            log.warning(_DAMAGED, file, error)
        return False
    return True


def whole_part(
    file: Path, make: Callable[[], None], out: np.ndarray | None = None, again: bool = True
) -> StoredPart:
    """The part, read and checked, made where it is not there; a damaged one is made again.

    Args:
        file: its ``.npy``.
        make: writes it; the caller holds the lock of its folder.
        out: as ``StoredPart.read``.
        again: False where it was made just now.

    Raises:
        AsdError: what was just written cannot be read.
    """
    try:
        return StoredPart.open(file).read(out)
    except DamagedPartError as error:
        if not again:
            raise AsdError(f"{file}: not as written ({error}); is the disk failing?") from error
        if not isinstance(error, MissingPartError):
            log.warning(_DAMAGED, file, error)
    make()
    return whole_part(file, make, out, again=False)


class PartWriter:
    """Writes a part clip by clip; ``close`` it, and nothing is left of it if it was not finished.

    Only one at a time may write in a folder. The methods raise OSError if they cannot write.
    """

    def __init__(self, folder: Path, label: str, bands: int, dtype: str) -> None:
        self.label = label
        self.partial = folder / f"{label}{PARTIAL}"
        self._record = Record(bands, dtype)
        self._crc32 = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._stream = self.partial.open("wb")
        self._stream.write(self._record.header())

    def append(self, frames: list[int], hashes: list[str], values: np.ndarray) -> None:
        """Write values [frames, bands] of one clip, or of several."""
        self._stream.write(values.data)
        self._crc32 = zlib.crc32(values.data, self._crc32)
        self._record.frames += frames
        self._record.hashes += hashes

    def finish(self) -> None:
        """Make the part whole, in place of what stands there."""
        self._stream.seek(0)
        self._stream.write(self._record.header())
        self._stream.close()
        self._record.crc32 = self._record.checksum(self._crc32)
        file = part_file(self.partial.parent, self.label, self._record.hashes)
        file.with_suffix(".json").unlink(missing_ok=True)
        self.partial.replace(file)
        with replacing(file.with_suffix(".json")) as temporary:
            temporary.write_text(json.dumps(asdict(self._record)), encoding="utf-8")

    def close(self) -> None:
        """Remove what is written, unless it was finished."""
        with suppress(OSError):
            self._stream.close()
        self.partial.unlink(missing_ok=True)
