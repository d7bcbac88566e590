"""Features of many clips in one file that processes of a machine map, so that memory has one copy.

A process that trains alone reads the store's parts into its own memory. Several that train side by
side would each hold all of it; with this, they hold it together.
"""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

log = logging.getLogger(__name__)

# Bytes whose checksum is computed at once.
_GROUP = 1 << 24


def joined(folder: Path, key: str, make: Callable[[], np.ndarray]) -> np.ndarray:
    """An array as a memory map, copy on write, written by the first process that asks for it.

    Args:
        folder: where such files lie; they may be deleted when no process needs them.
        key: of the content.
        make: gives the array, where there is no file yet or it is damaged.

    Raises:
        OSError: it cannot be written.
    """
    from filelock import FileLock

    folder.mkdir(parents=True, exist_ok=True)
    path, record = folder / f"{key}.npy", folder / f"{key}.json"
    with FileLock(folder / f"{key}.lock"):
        found = _open(path, record)
        if found is not None:
            return found
        values = make()
        temporary = path.with_name(f"{key}.npy.partial")
        with temporary.open("wb") as file:
            np.save(file, values)
        temporary.replace(path)
        record.write_text(json.dumps({"crc32": _crc32(values)}))
        del values
    mapped: np.ndarray = np.load(path, mmap_mode="c")
    return mapped


def _open(path: Path, record: Path) -> np.ndarray | None:
    try:
        expected = json.loads(record.read_text())["crc32"]
        values: np.ndarray = np.load(path, mmap_mode="c")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s: damaged (%s); made again", path, error)
        return None
    if _crc32(values) != expected:
        log.warning("%s: damaged (another checksum); made again", path)
        return None
    return values


def _crc32(values: np.ndarray) -> int:
    content = memoryview(values.data).cast("B")
    sum32 = 0
    for at in range(0, len(content), _GROUP):
        sum32 = zlib.crc32(content[at : at + _GROUP], sum32)
    return sum32
