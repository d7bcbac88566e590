"""A part of the feature store on disk: written clip by clip, and read back with its checksum.

The ``.npy`` holds the features [frames, bands] of the part's clips, one after another. The
``.json`` is written last: without it the part is not whole.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Self

import numpy as np

from asd.files import replacing

_GROUP = 1 << 23  # bytes read and checked at once: small beside memory, large beside a call
PARTIAL = ".partial"  # how the name of a part ends while it is written


class DamagedPartError(Exception):
    """Files of a part that do not fit together, or are not as written; the message says how."""


def content_key(hashes: Iterable[str]) -> str:
    """12 hex digits that stand for clips of these contents in this order."""
    return hashlib.blake2b("\n".join(hashes).encode(), digest_size=6).hexdigest()


def part_file(folder: Path, label: str, hashes: Iterable[str]) -> Path:
    """The ``.npy`` of a part; its record is the ``.json`` beside it, whose time is its last use."""
    return folder / f"{label}-{content_key(hashes)}.npy"


@dataclass(frozen=True)
class StoredPart:
    """A part whose files fit together; whether its bytes are right is known after ``read``.

    ``values`` [frames, bands] are memory-mapped, copy on write: torch takes them as they are, and
    nothing that is done to them reaches the file. ``frames`` and content ``hashes`` are those of
    the clips in order, ``crc32`` is that of all values' bytes.
    """

    file: Path
    values: np.memmap
    frames: list[int]
    hashes: list[str]
    crc32: int

    @classmethod
    def open(cls, file: Path) -> Self | None:
        """The part, or None where there is none.

        Raises:
            DamagedPartError: there are files, but they do not fit together.
        """
        try:
            record = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
            part = cls(file, np.load(file, mmap_mode="c"), **record)
            fits = part.values.shape[0] == sum(part.frames) and part.values.ndim == 2
            end = part.values.offset + part.values.nbytes
            whole = fits and end == file.stat().st_size and min(part.frames) > 0
            if not whole or content_key(part.hashes) != file.stem.rsplit("-", 1)[-1]:
                raise DamagedPartError("its files are not of the same clips")
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, AttributeError, EOFError, OSError) as error:
            raise DamagedPartError(str(error)) from error
        return part

    def read(self, out: np.ndarray | None = None) -> None:
        """Read all values once and compare their checksum.

        Args:
            out: [frames, bands] of the part's dtype, to keep what is read; None: only compare.

        Raises:
            DamagedPartError: they are not what was written.
        """
        size, crc32, position = self.values.nbytes, 0, 0
        scratch = bytearray(min(size, _GROUP)) if out is None else b""
        target = memoryview(scratch) if out is None else out.reshape(-1).view(np.uint8).data
        try:
            with self.file.open("rb", buffering=0) as stream:
                stream.seek(self.values.offset)
                while position < size:
                    begin = 0 if out is None else position
                    count = stream.readinto(target[begin : begin + min(_GROUP, size - position)])
                    if not count:
                        break
                    crc32 = zlib.crc32(target[begin : begin + count], crc32)
                    position += count
        except OSError as error:
            raise DamagedPartError(str(error)) from error
        if position < size or crc32 != self.crc32:
            raise DamagedPartError("another checksum")


@dataclass
class PartWriter:
    """Writes a part clip by clip; ``close`` it, and nothing is left of it if it was not finished.

    Only one at a time may write in a folder. The methods raise OSError if they cannot write.
    """

    folder: Path
    label: str
    bands: int
    dtype: str
    frames: list[int] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    crc32: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.partial = self.folder / f"{self.label}{PARTIAL}"
        self._stream = self.partial.open("wb")
        self._stream.write(self._header())

    def _header(self) -> bytes:
        """The start of an ``.npy`` file; numpy leaves room in it for any number of frames."""
        description = {
            "descr": np.lib.format.dtype_to_descr(np.dtype(self.dtype)),
            "fortran_order": False,
            "shape": (sum(self.frames), self.bands),
        }
        buffer = BytesIO()
        np.lib.format.write_array_header_1_0(buffer, description)
        return buffer.getvalue()

    def append(self, frames: list[int], hashes: list[str], values: np.ndarray) -> None:
        """Write values [frames, bands] of one clip, or of several."""
        self._stream.write(values.data)
        self.crc32 = zlib.crc32(values.data, self.crc32)
        self.frames += frames
        self.hashes += hashes

    def finish(self) -> None:
        """Make the part whole, in place of what stands there."""
        self._stream.seek(0)
        self._stream.write(self._header())
        self._stream.close()
        file = part_file(self.folder, self.label, self.hashes)
        record = file.with_suffix(".json")
        record.unlink(missing_ok=True)
        self.partial.replace(file)
        about = {"frames": self.frames, "hashes": self.hashes, "crc32": self.crc32}
        with replacing(record) as temporary:
            temporary.write_text(json.dumps(about), encoding="utf-8")

    def close(self) -> None:
        """Remove what is written, unless it was finished."""
        with suppress(OSError):
            self._stream.close()
        self.partial.unlink(missing_ok=True)
