"""A part of the feature store on disk: one file, written in one go, read with its checksum.

The ``.npy`` holds the features [frames, bands] of the part's clips, one after another, and behind
what numpy reads a CRC-32 of the file's name and all of it. Its time stamp is the last use.
"""

from __future__ import annotations

import hashlib
import logging
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from asd.errors import AsdError
from asd.files import locked, replacing

log = logging.getLogger(__name__)

CHECKSUM_BYTES = 4


@dataclass(frozen=True)
class Features:
    """Features of clips, in order.

    ``values`` [frames, bands], clips one after another; ``frames`` [clips] how many each has.
    """

    values: np.ndarray
    frames: np.ndarray


class DamagedPartError(AsdError):
    """A part whose file is not as written."""


def part_file(folder: Path, label: str, hashes: Iterable[str]) -> Path:
    """The file of a part: its name ends with a hash of the clips' contents in this order."""
    key = hashlib.blake2b("\n".join(hashes).encode(), digest_size=6).hexdigest()
    return folder / f"{label}-{key}.npy"


def write_part(file: Path, arrays: Sequence[np.ndarray]) -> None:
    """Write a part of features [frames, bands]; the caller holds the lock of its folder.

    Raises:
        AsdError: it cannot be written; nothing of it passes for whole then.
    """
    shape = (sum(map(len, arrays)), arrays[0].shape[1])
    header = BytesIO()
    about = {"descr": arrays[0].dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, about)
    checksum = zlib.crc32(file.stem.encode())
    with saying_where(file), replacing(file) as temporary, temporary.open("wb") as stream:
        for block in (header.getbuffer(), *(array.data for array in arrays)):
            stream.write(block)
            checksum = zlib.crc32(block, checksum)
        stream.write(checksum.to_bytes(CHECKSUM_BYTES))


def whole_part(file: Path, frames: np.ndarray, make: Callable[[], object]) -> Features:
    """A part of clips of so many ``frames`` [clips]; where it is not, or damaged, it is made.

    Raises:
        DamagedPartError: what was just written cannot be read.
    """
    with suppress(DamagedPartError):
        return _read(file, frames)
    with writing(file.parent):
        try:  # another process may have made it in the meantime
            return _read(file, frames)
        except DamagedPartError as damage:
            if file.exists():
                log.warning("%s; computed again", damage)
        make()
    return _read(file, frames)


def _read(file: Path, frames: np.ndarray) -> Features:
    """Map a part into memory, copy on write, and compare its checksum."""
    try:
        content = np.memmap(file, np.uint8, "c")
        checksum = zlib.crc32(content[:-CHECKSUM_BYTES].data, zlib.crc32(file.stem.encode()))
        if checksum != int.from_bytes(content[-CHECKSUM_BYTES:].tobytes()):
            raise ValueError("another checksum")  # before numpy reads a header
        values: np.ndarray = np.load(file, mmap_mode="c")
        if len(values) != frames.sum():
            raise ValueError(f"{len(values)} frames, not {frames.sum()}")
    except (OSError, ValueError) as error:
        raise DamagedPartError(f"{file}: damaged ({error}; is the disk failing?)") from error
    return Features(values, frames)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Be the one process that writes in a folder; the lock lies beside it."""
    with ExitStack() as stack:
        with saying_where(folder):
            folder.mkdir(parents=True, exist_ok=True)
            lock = folder.with_name(f"{folder.name}.lock")
            stack.enter_context(locked(lock, "computes these features"))
            for leftover in folder.glob(".*.partial"):  # of a process that was killed
                leftover.unlink()
        yield


@contextmanager
def saying_where(path: Path) -> Iterator[None]:
    """Say of what could not be written where it is and what to do: ``AsdError``, not OSError."""
    try:
        yield
    except (OSError, NotImplementedError) as error:  # the latter: a disk without locks
        raise AsdError(
            f"{path}: {getattr(error, 'strerror', None) or error}; nothing of it is kept. Free "
            "some space (features.dtype=float16 takes half), or set paths.cache to a folder that "
            "can be written to, then start again"
        ) from error
