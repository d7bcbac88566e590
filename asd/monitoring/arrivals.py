"""Sound that arrives: files in a folder once they are whole, samples in a pipe clip by clip."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from asd.data.clip_files import is_sound

_CHUNK = 65536


class Arrival(NamedTuple):
    """A file as it was when it was looked at; written anew, it is another arrival."""

    file: str  # below the folder
    size: int
    mtime_ns: int


class FolderArrivals:
    """The sound files below a folder.

    Args:
        folder: that is watched; hidden files and folders are not.
        settle: seconds for which a file must not have changed to be taken as whole.
    """

    def __init__(self, folder: Path, settle: float) -> None:
        self._folder = folder
        self._settle = settle
        self._seen: dict[Arrival, float] = {}

    def look(self, done: Collection[Arrival]) -> tuple[list[Arrival], bool]:
        """What has arrived and is whole, oldest first; and whether anything may still become so.

        Args:
            done: these no more.
        """
        now, there = time.monotonic(), {}
        for path in self._folder.rglob("*"):
            inside = path.relative_to(self._folder)
            if not is_sound(path) or any(part.startswith(".") for part in inside.parts):
                continue
            try:
                status = path.stat()
            except OSError:  # gone again
                continue
            arrival = Arrival(inside.as_posix(), status.st_size, status.st_mtime_ns)
            if arrival not in done:
                there[arrival] = self._seen.get(arrival, now)
        self._seen = there
        whole = [one for one, since in there.items() if now - since >= self._settle]
        return sorted(whole, key=lambda one: (one.mtime_ns, one.file)), len(whole) < len(there)


def pipe_clips(source: BinaryIO, size: int, idle: float) -> Iterator[bytes | None]:
    """A pipe's bytes in clips of ``size`` bytes, whatever the chunks in which they come.

    Gives None each time nothing has come for ``idle`` seconds, and at the end the bytes that are
    left and make no whole clip.
    """
    chunks: queue.Queue[bytes] = queue.Queue(maxsize=64)

    def read() -> None:
        while chunk := source.read1(_CHUNK):  # type: ignore[attr-defined]
            chunks.put(chunk)
        chunks.put(b"")

    threading.Thread(target=read, daemon=True).start()
    held, silent = bytearray(), False
    while True:
        try:
            chunk = chunks.get(timeout=None if silent else idle)
        except queue.Empty:
            silent = True
            yield None
            continue
        silent = False
        if not chunk:
            yield bytes(held)
            return
        held += chunk
        while len(held) >= size:
            yield bytes(held[:size])
            del held[:size]
