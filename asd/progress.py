"""Progress of long work: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)

#: True in a process whose terminal shows something larger, such as a sweep.
quiet = False
# Of a log: at most so many lines, and none within so many seconds of the one before.
_LINES, _SECONDS = 10, 10.0


@contextmanager
def progress_bar(
    label: str, total: int, style: str = "auto", done: int = 0
) -> Iterator[Callable[..., None]]:
    """Show how far work is, and the time left.

    Args:
        label: what is done.
        total: its steps.
        style: ``bar``, ``lines`` or ``off``; ``auto``: a bar if there is a terminal, else lines.
        done: steps that an earlier start did.

    Yields:
        What advances it by a number of steps, and changes the text behind the label.
    """
    from rich import progress as rich
    from rich.console import Console

    total = max(1, total)
    if style == "auto":
        style = "bar" if sys.stderr.isatty() and not quiet else "lines"
    bar = rich.Progress(
        "{task.description}",
        rich.BarColumn(20),
        "{task.percentage:.0f} % {task.fields[text]}",
        rich.TimeElapsedColumn(),
        "left",
        rich.TimeRemainingColumn(elapsed_when_finished=False),
        console=Console(stderr=True),
        speed_estimate_period=math.inf,  # steps may take minutes
        disable=style != "bar",
    )
    number = bar.add_task(label, total=total, completed=done, text="")
    task, line, due = bar.tasks[0], done * _LINES // total, _SECONDS

    def advance(steps: int, text: str | None = None) -> None:
        nonlocal line, due
        bar.advance(number, steps)
        bar.update(number, text=task.fields["text"] if text is None else text)
        if style != "lines" or (reached := int(task.completed) * _LINES // total) == line:
            return
        spent = task.elapsed or 0.0
        if spent >= due or task.finished:
            line, due = reached, spent + _SECONDS
            how = f"{task.percentage:.0f} %", task.fields["text"], f"{spent:.1f} s"
            left = f"{task.time_remaining or 0:.0f} s left"
            log.info("%s: %s", label, ", ".join(filter(None, (*how, left * (not task.finished)))))

    with bar:
        advance(0)  # from now on
        yield advance
