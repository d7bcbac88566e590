"""Progress of long work: a bar on a terminal, one line in a log."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

log = logging.getLogger(__name__)

#: True in a process whose terminal shows something larger, such as a sweep.
quiet = False


def shows_bars() -> bool:
    """Whether there is a terminal to show a bar on."""
    return sys.stderr.isatty() and not quiet


def rich_bar(detail: str) -> Progress:
    """A bar on standard error: description, bar, ``detail``, time spent and time left.

    Args:
        detail: a text with fields of rich's task, such as ``{task.completed}/{task.total}``.
    """
    from rich import progress as rich
    from rich.console import Console

    return rich.Progress(
        rich.TextColumn("{task.description}"),
        rich.BarColumn(20),
        rich.TextColumn(detail),
        rich.TimeElapsedColumn(),
        rich.TextColumn("left"),
        rich.TimeRemainingColumn(elapsed_when_finished=False),
        console=Console(stderr=True),
    )


@contextmanager
def progress_bar(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how far work of ``total`` steps is; yields what advances it."""
    if not shows_bars():
        begin = time.perf_counter()
        yield lambda _: None
        log.info("%s: %d in %.1f s", label, total, time.perf_counter() - begin)
        return
    with rich_bar("{task.completed}/{task.total}") as bar:
        task = bar.add_task(label, total=total)
        yield lambda n: bar.advance(task, n)
