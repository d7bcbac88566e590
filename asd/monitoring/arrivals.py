"""Sound that arrives: files in a folder once they are whole, samples in a pipe clip by clip."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from asd.data.clip_files import is_sound, unused_files

# Of a pipe, at a time; and so often a second a folder is looked at.
_BYTES, _LOOKS = 65536, 4


class Arrival(NamedTuple):
    """A file as it was when it was looked at; written anew, it is another arrival."""

    file: str  # below the folder
    size: int
    mtime_ns: int


def folder_arrivals(
    folder: Path, settle: float, idle: float, done: Iterable[Arrival] = (), once: bool = False
) -> Iterator[Arrival | None]:
    """The sound files of a folder and those in it, oldest first; None: ``idle`` seconds without.

    A file is given once it has not changed for ``settle`` seconds, and those of ``done`` no more;
    with ``once`` it ends when all there have been given. ``AsdError``: it cannot be listed.
    """
    given, seen = set(done), dict[Arrival, float]()
    last: float | None = time.monotonic()
    while True:
        now = time.monotonic()
        seen = {one: seen.get(one, now) for one in _listed(folder) if one not in given}
        spent = time.monotonic() - now
        whole = [one for one, since in seen.items() if now - since >= settle]
        for arrival in sorted(whole, key=lambda one: (one.mtime_ns, one.file)):
            with suppress(OSError):  # it is gone, as reading it will say
                if (folder / arrival.file).stat().st_mtime_ns != arrival.mtime_ns:
                    continue  # written anew meanwhile, and maybe not whole
            given.add(arrival)
            yield arrival
        if whole:
            last = time.monotonic()
        elif once and not seen:
            return
        elif last is not None and now - last >= idle:
            last = None  # it is said once
            yield None
        time.sleep(max(0.01, min(settle, 1.0) / _LOOKS, _LOOKS * spent))


def _listed(folder: Path) -> Iterator[Arrival]:
    for path in filter(is_sound, unused_files(folder, ())):
        with suppress(OSError):  # gone again
            status, name = path.stat(), path.relative_to(folder).as_posix()
            yield Arrival(name, status.st_size, status.st_mtime_ns)


def pipe_clips(source: BinaryIO, size: int, idle: float) -> Iterator[bytes | None]:
    """A pipe's bytes in clips of ``size`` bytes; None: nothing has come for ``idle`` seconds.

    At the end come the bytes that are left, which make no clip.
    """
    chunks: queue.Queue[bytes] = queue.Queue(maxsize=4096)

    def read() -> None:
        # Not through the buffered file, whose lock would outlive this thread.
        with suppress(OSError):  # a device that is gone has ended
            while chunk := os.read(source.fileno(), _BYTES):
                chunks.put(chunk)
        chunks.put(b"")

    threading.Thread(target=read, daemon=True).start()
    held = bytearray()
    patience: float | None = idle
    while True:
        try:
            chunk = chunks.get(timeout=patience)
        except queue.Empty:
            patience = None  # it is said once
            yield None
            continue
        patience, held = idle, held + chunk
        while len(held) >= size:
            yield bytes(held[:size])
            del held[:size]
        if not chunk:
            yield bytes(held)
            return
