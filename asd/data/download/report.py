"""What a download says of itself: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def megabytes(size: float) -> str:
    """``size`` in bytes as decimal GB, MB or kB, e.g. ``1.35 GB``."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if size >= factor:
            return f"{size / factor:.2f} {unit}"
    return f"{size / 1e3:.1f} kB"


class Report:
    """Lines and bars on standard error; bars only where it is a terminal."""

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console

        self._console = console or Console(stderr=True)

    def line(self, text: str) -> None:
        """Write one line, as it is."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def bar(self, label: str, total: int | None, done: int = 0) -> Iterator[Callable[[int], None]]:
        """A bar with rate and time left.

        Args:
            label: what is being done.
            total: bytes in all; None if not known.
            done: bytes that lie there already; they do not count for the rate.

        Yields:
            A function to call with the number of bytes done since the last call.
        """
        if not self._console.is_terminal:
            yield lambda _: None
            return
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(label, total=total, completed=done)
            yield lambda size: progress.advance(task, size)
