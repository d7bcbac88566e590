"""Progress of long work: a bar on a terminal, one line in a log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)

#: True in a process whose terminal shows something larger, such as a sweep.
quiet = False


@contextmanager
def progress_bar(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how far work of ``total`` steps is; yields what advances it."""
    from rich.console import Console

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        begin = time.perf_counter()
        yield lambda _: None
        log.info("%s: %d in %.1f s", label, total, time.perf_counter() - begin)
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(label, total=total)
        yield lambda n: bar.advance(task, n)
