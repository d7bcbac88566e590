"""What a sweep's workers have in hand: who has which cell, and how often one died with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from asd.files import write_text
from asd.sweeps.cells import Cell

_THROUGH = "through"


@dataclass
class Claim:
    """A worker's hold on a cell.

    Args:
        deaths: workers of this sweep that died with it.
        again: whether this sweep has begun it before.
        through: set it when the sweep needs not come back to the cell.
    """

    deaths: int
    again: bool
    through: bool = False


class Claims:
    """The claims of one start of a sweep, as files that all its workers see.

    A run's own lock is taken late, when torch has been imported; this one at once. The system
    releases it with the process, and what the process noted before it began then says that it died.

    Args:
        folder: of the files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def is_through(self, cell: Cell) -> bool:
        """Whether a worker has finished the cell, or failed, since the sweep began."""
        return self._note(cell) == _THROUGH

    @contextmanager
    def claim(self, cell: Cell) -> Iterator[Claim | None]:
        """Have the cell meanwhile; None if another worker has it or one is through with it."""
        from filelock import FileLock, Timeout

        lock = FileLock(self._path(cell).with_suffix(".lock"), blocking=False)
        try:
            lock.acquire()
        except Timeout:
            yield None
            return
        try:
            note = self._note(cell)
            if note == _THROUGH:
                yield None
                return
            claim = Claim(int(note or 0), again=note != "")
            write_text(self._path(cell), str(claim.deaths + 1))
            try:
                yield claim
            finally:  # whatever happened, this process lives
                write_text(self._path(cell), _THROUGH if claim.through else str(claim.deaths))
        finally:
            lock.release()

    def _note(self, cell: Cell) -> str:
        try:
            return self._path(cell).read_text()
        except FileNotFoundError:
            return ""

    def _path(self, cell: Cell) -> Path:
        assert cell.folder is not None
        return self.folder / f"{cell.folder.path.name}.claim"
