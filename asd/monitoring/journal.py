"""What a watch has said, as JSON lines: its memory too, so that it may be killed at any moment."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from asd.errors import AsdError
from asd.files import check_regular

_LONGEST = 65536  # bytes of a line
_BEGIN = b'{"time": '  # of every line


class Journal:
    """A file of JSON lines that only grows; see ``open_journal``."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file = path, file

    def entries(self) -> Iterator[dict[str, Any]]:
        """Of its lines so far; ``AsdError`` where one is none of a journal's."""
        self._file.seek(0)
        for number, line in enumerate(self._file, 1):
            try:
                entry = json.loads(line)
            except ValueError:
                entry = None
            if not isinstance(entry, dict) or not line.startswith(_BEGIN):
                text = f"{self._path}: line {number} is none of a watch's: {line[:80]!r}"
                raise AsdError(f"{text}; move the file away, or give --out FILE")
            yield entry

    def add(self, line: str) -> None:
        """Append a line, which begins with its time; it is on the disk before this returns."""
        try:
            disk, left = self._file.fileno(), line.encode() + b"\n"
            if not os.path.samestat(self._path.stat(), os.fstat(disk)):
                raise FileNotFoundError(0, "another file took its place")
            while left:  # nothing stays in a buffer, which closing would write
                left = left[os.write(disk, left) :]
            os.fsync(disk)
        except OSError as error:
            raise AsdError(f"{self._path}: cannot be written: {error.strerror}; mend it") from error


@contextmanager
def open_journal(path: Path) -> Iterator[Journal]:
    """A journal, for this process alone (``AsdError``: it is another's, or cannot be opened).

    A last line that a kill cut short is taken away.
    """
    from filelock import FileLock, Timeout

    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            check_regular(path)
            stack.enter_context(FileLock(f"{path.resolve()}.lock", blocking=False))
            file = stack.enter_context(path.open("a+b"))
        except Timeout as error:
            raise AsdError(f"{path}: another watch writes it; give this one --out FILE") from error
        except OSError as error:
            raise AsdError(f"{path}: cannot be opened: {error.strerror}; --out FILE") from error
        begin = max(0, file.seek(0, os.SEEK_END) - _LONGEST)
        file.seek(begin)
        *whole, cut = file.read().split(b"\n")
        if cut.startswith(_BEGIN) or _BEGIN.startswith(cut):  # else it is another's file
            file.truncate(begin + sum(len(line) + 1 for line in whole))
        yield Journal(path, file)
