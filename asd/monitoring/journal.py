"""What a watch has said, as JSON lines: its memory too, so that it may be killed at any moment."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from asd.errors import AsdError


class Journal:
    """A file of JSON lines that only grows; see ``opened``.

    Args:
        file: open for reading and appending bytes.
        entries: of its lines so far.
    """

    def __init__(self, file: Any, entries: list[dict[str, Any]]) -> None:
        self._file = file
        self.entries = entries

    def add(self, entry: dict[str, Any]) -> str:
        """Append a line, on the disk before this returns; gives its text.

        Raises:
            AsdError: it cannot be written; the watch can be started again.
        """
        text = json.dumps(entry, ensure_ascii=False, allow_nan=False)
        try:
            self._file.write(text.encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise AsdError(
                f"{self._file.name}: cannot be written: {error.strerror}. Make room; the same "
                "command goes on where this stopped"
            ) from error
        self.entries.append(entry)
        return text


@contextmanager
def opened(path: Path) -> Iterator[Journal]:
    """A journal, for this process alone; a last line that a kill cut short is taken away.

    Raises:
        AsdError: another process writes it, a line is none of a journal's, or it cannot be opened.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", blocking=False), path.open("a+b") as file:
            file.seek(0)
            content = file.read()
            whole = content.rfind(b"\n") + 1
            file.truncate(whole)
            lines = content[:whole].decode(errors="replace").splitlines()
            yield Journal(file, [_entry(path, n, line) for n, line in enumerate(lines, 1)])
    except Timeout as error:
        raise AsdError(f"{path}: another watch writes it; give this one --out FILE") from error
    except OSError as error:
        raise AsdError(f"{path}: cannot be opened: {error.strerror}; --out FILE") from error


def _entry(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
        if isinstance(entry, dict):
            return entry
    except ValueError:
        pass
    raise AsdError(
        f"{path}: line {number} is none of a watch's: {line[:80]!r}; move the file away, or give "
        "another with --out FILE"
    )
