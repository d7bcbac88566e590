"""A part of the feature store on disk: its files, what they must say, and reading them checked.

The ``.npy`` holds the features [frames, bands] of the part's clips, one after another. The
``.json`` is written last: without it the part is not whole. It has a CRC-32 of every clip's bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

# Bytes that are read and checked at once: small beside memory, large beside the cost of a call.
_GROUP = 1 << 23


class DamagedPartError(Exception):
    """Files of a part that do not fit together; the message says how."""


@dataclass(frozen=True)
class PartFiles:
    """Where a part lies: ``<folder>/<stem>.npy`` and its companions.

    ``stem`` ends with ``content_key`` of the clips.
    """

    folder: Path
    stem: str

    @property
    def data(self) -> Path:
        """The features."""
        return self.folder / f"{self.stem}.npy"

    @property
    def record(self) -> Path:
        """What they are, and that they are whole. Its time stamp is when they were last used."""
        return self.folder / f"{self.stem}.json"

    @property
    def partial(self) -> Path:
        """The features while they are computed."""
        return self.folder / f"{self.stem}.npy.partial"

    @property
    def journal(self) -> Path:
        """Which clips of ``partial`` are done."""
        return self.folder / f"{self.stem}.journal"

    @property
    def label(self) -> str:
        """For people: release, machine and split."""
        return self.stem.rsplit("-", 1)[0]


@dataclass(frozen=True)
class Record:
    """What the ``.json`` holds, clip by clip in the part's order.

    ``frames`` in each clip, ``hashes`` of the sound files' contents, ``crc32`` of the features'
    bytes, ``clips`` the files' names when they were computed.
    """

    frames: list[int]
    hashes: list[str]
    crc32: list[int]
    clips: list[str]

    @classmethod
    def read(cls, files: PartFiles) -> Record:
        """Read and check it.

        Raises:
            DamagedPartError: it is no record of this part.
            FileNotFoundError: it is not there.
        """
        try:
            content = json.loads(files.record.read_text(encoding="utf-8"))
            made = cls(**content)
            lengths = {len(getattr(made, name)) for name in content}
            sound = len(lengths) == 1 and all(isinstance(n, int) and n > 0 for n in made.frames)
        except (ValueError, TypeError) as error:
            raise DamagedPartError(f"{files.record.name}: {error}") from error
        if not sound or content_key(made.hashes) != files.stem.rsplit("-", 1)[-1]:
            raise DamagedPartError(f"{files.record.name}: is not of these clips")
        return made

    def write(self, files: PartFiles) -> None:
        """Write it, whole or not at all.

        Raises:
            OSError: it cannot be written.
        """
        temporary = files.record.with_name(files.record.name + ".partial")
        temporary.write_text(json.dumps(asdict(self)), encoding="utf-8")
        temporary.replace(files.record)


def content_key(hashes: Iterable[str]) -> str:
    """12 hex digits that stand for clips of these contents in this order."""
    return hashlib.blake2b("\n".join(hashes).encode(), digest_size=6).hexdigest()


def npy_header(frames: int, bands: int, dtype: str) -> bytes:
    """The start of an ``.npy`` file of [frames, bands]; the values follow it."""
    from io import BytesIO

    buffer = BytesIO()
    description = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
        "fortran_order": False,
        "shape": (frames, bands),
    }
    np.lib.format.write_array_header_1_0(buffer, description)
    return buffer.getvalue()


@dataclass(frozen=True)
class StoredPart:
    """A part whose files fit together; whether its bytes are right is known after ``check``.

    ``values`` [frames, bands] are memory-mapped, copy on write: torch takes them as they are, and
    nothing that is done to them reaches the file. ``starts`` [clips + 1] first frame of each clip.
    """

    files: PartFiles
    record: Record
    values: np.memmap
    starts: np.ndarray

    @classmethod
    def open(cls, files: PartFiles) -> StoredPart | None:
        """The part, or None where there is none.

        Raises:
            DamagedPartError: there are files, but they do not fit together.
        """
        try:
            record = Record.read(files)
            with files.data.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if np.lib.format.read_magic(file) != (1, 0):  # type: ignore[no-untyped-call]
                    raise DamagedPartError(f"{files.data.name}: unknown header")
                shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)  # type: ignore[no-untyped-call]
                starts = np.concatenate([[0], np.cumsum(record.frames)])
                expected = file.tell() + int(np.prod(shape)) * dtype.itemsize
                if fortran or len(shape) != 2 or shape[0] != starts[-1] or size != expected:
                    raise DamagedPartError(f"{files.data.name}: has not the right length")
                values = np.memmap(file, dtype, "c", file.tell(), shape)
        except FileNotFoundError:
            return None
        except (ValueError, OSError) as error:
            raise DamagedPartError(f"{files.data.name}: {error}") from error
        return cls(files, record, values, starts)

    def clip(self, number: int) -> np.ndarray | None:
        """Features [frames, bands] of a clip, or None if they are damaged."""
        values = self.values[self.starts[number] : self.starts[number + 1]]
        whole = zlib.crc32(values.data) == self.record.crc32[number]
        return np.asarray(values) if whole else None

    def check(self, pool: Executor, out: np.ndarray | None = None) -> list[int]:
        """Read the part once and compare every clip with its checksum.

        Args:
            pool: of threads; reading and checksums run in parallel.
            out: [frames, bands] of the part's dtype, to keep what is read; None: only compare.

        Returns:
            Numbers of the clips that are damaged.
        """
        row_bytes = self.values.shape[1] * self.values.itemsize
        numbers = np.arange(len(self.record.frames))
        groups = np.searchsorted(
            self.starts[1:] * row_bytes, np.arange(0, int(self.starts[-1]) * row_bytes, _GROUP)
        )
        bounds = [*dict.fromkeys(groups.tolist()), len(numbers)]

        def read(bound: tuple[int, int]) -> list[int]:
            begin, end = int(self.starts[bound[0]]), int(self.starts[bound[1]])
            shape, dtype = (end - begin, self.values.shape[1]), self.values.dtype
            target = np.empty(shape, dtype) if out is None else out[begin:end]
            flat = target.reshape(-1).view(np.uint8).data
            try:
                with self.files.data.open("rb", buffering=0) as file:
                    file.seek(self.values.offset + begin * row_bytes)
                    filled = 0
                    while filled < len(flat) and (got := file.readinto(flat[filled:])):
                        filled += got
            except OSError:
                filled = 0
            if filled < len(flat):
                return list(range(*bound))
            edges = (self.starts[bound[0] : bound[1] + 1] - begin) * row_bytes
            return [
                number
                for number, (a, b) in zip(range(*bound), pairwise(edges.tolist()), strict=True)
                if zlib.crc32(flat[a:b]) != self.record.crc32[number]
            ]

        return [n for bad in pool.map(read, pairwise(bounds)) for n in bad]
