"""A part of the feature store on disk: written in one go, and read back with its checksum.

The ``.npy`` holds the features [frames, bands] of the part's clips, one after another. The
``.json`` is written last: without it the part is not whole. Its time stamp is the last use.
"""

from __future__ import annotations

import hashlib
import json
import logging
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asd.errors import AsdError
from asd.files import replacing

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Features:
    """Features of clips, in order.

    ``values`` [frames, bands], clips one after another; ``frames`` [clips] how many each has.
    """

    values: np.ndarray
    frames: np.ndarray


class DamagedPartError(Exception):
    """A part whose files are not as written; the message says how."""


def part_file(folder: Path, label: str, hashes: Iterable[str]) -> Path:
    """The ``.npy`` of a part: its name ends with a hash of the clips' contents in this order."""
    key = hashlib.blake2b("\n".join(hashes).encode(), digest_size=6).hexdigest()
    return folder / f"{label}-{key}.npy"


def is_stored(file: Path) -> bool:
    """Whether both files of a part are there; whether they are right is known once it is read."""
    return file.exists() and file.with_suffix(".json").exists()


def write_part(file: Path, hashes: Sequence[str], arrays: Sequence[np.ndarray]) -> None:
    """Write a part; the caller holds the lock of its folder.

    Args:
        file: its ``.npy``.
        hashes: content hashes of the clips.
        arrays: features [frames, bands] of each.

    Raises:
        AsdError: it cannot be written; nothing of it passes for whole then.
    """
    frames = [len(array) for array in arrays]
    shape = (sum(frames), arrays[0].shape[1])
    header = {"descr": arrays[0].dtype.str, "fortran_order": False, "shape": shape}
    record: dict[str, object] = {"frames": frames, "hashes": list(hashes)}
    with saying_where(file):
        file.with_suffix(".json").unlink(missing_ok=True)
        with replacing(file) as temporary:
            with temporary.open("wb") as stream:
                np.lib.format.write_array_header_1_0(stream, header)
                for array in arrays:
                    stream.write(array.data)
            record["crc32"] = _checksum(temporary, file.stem, frames, record["hashes"])
        with replacing(file.with_suffix(".json")) as temporary:
            temporary.write_text(json.dumps(record), encoding="utf-8")


def read_part(file: Path) -> Features:
    """Map a part into memory, copy on write, and compare its checksum.

    Raises:
        DamagedPartError: it is not what was written, or one of its files is missing.
    """
    try:
        record = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        crc32 = _checksum(file, file.stem, record["frames"], record["hashes"])
        if crc32 != record["crc32"]:  # before numpy makes sense of a damaged header
            raise DamagedPartError("it has another checksum")
        frames = np.array(record["frames"], dtype=np.int64)
        return Features(np.load(file, mmap_mode="c"), frames)
    except FileNotFoundError as error:
        raise DamagedPartError("one of its two files is missing") from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DamagedPartError(f"{type(error).__name__}: {error}") from error


def _checksum(file: Path, *about: object) -> int:
    """Of a whole file and what else is known of the part."""
    return zlib.crc32(np.memmap(file, np.uint8, "c").data, zlib.crc32(json.dumps(about).encode()))


def damage_of(file: Path, quick: bool = False) -> str:
    """What is wrong with a part, "" if nothing; ``quick``: as far as is seen without reading it."""
    try:
        if not quick or not is_stored(file):
            read_part(file)
    except DamagedPartError as error:
        return str(error)
    return ""


def whole_part(file: Path, make: Callable[[], object]) -> Features:
    """A part as ``read_part`` gives it, made where it is not there; a damaged one is made again.

    Args:
        file: its ``.npy``.
        make: writes it; only one process at a time does.

    Raises:
        AsdError: what was just written cannot be read.
    """
    with suppress(DamagedPartError):
        return read_part(file)
    with locked(file.parent):
        if damage := damage_of(file):  # else another process made it in the meantime
            if is_stored(file):
                log.warning("%s: damaged (%s); computed again", file, damage)
            make()
    try:
        return read_part(file)
    except DamagedPartError as error:
        raise AsdError(f"{file}: not as written ({error}); is the disk failing?") from error


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the one process that writes in a folder.

    The lock's file lies beside the folder and stays: removing it while another process waits for
    it would let two in. The system lets go of it when the process ends.

    Raises:
        AsdError: the lock's file cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(f"{folder}.lock")
    with saying_where(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            log.info("another process computes these features (%s); waiting for it", folder)
            lock.acquire()
        for leftover in folder.glob(".*.partial"):  # of a process that was killed
            leftover.unlink()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def saying_where(path: Path) -> Iterator[None]:
    """Say of what could not be written where it is and what to do.

    Raises:
        AsdError: in place of OSError.
    """
    try:
        yield
    except (OSError, NotImplementedError) as error:  # the latter: a disk without locks
        raise AsdError(
            f"{path}: {getattr(error, 'strerror', None) or error}; nothing of it is kept. Free "
            "some space, or set paths.cache to a folder that can be written to, then start again"
        ) from error
