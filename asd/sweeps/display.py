"""How far a sweep is: live bars on a terminal, a line a run in a log."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from math import inf
from typing import TYPE_CHECKING

from asd.errors import AsdError, shown
from asd.secrets import redacted
from asd.sweeps.cells import DONE, IN_PROGRESS, Cell
from asd.sweeps.sweep_status import failure_lines, state_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Task

#: Seconds between two looks at the runs.
PERIOD = 1.0


class Display:
    """Shows the cells of a sweep, in whichever processes they are trained.

    All it knows it reads from them at each look. What failed before may be tried again by the start
    of the sweep that is named; by None, it is not. The console is by default the standard error.
    """

    def __init__(
        self,
        title: str,
        cells: Callable[[], Sequence[Cell]],
        sweep: str | None = None,
        console: Console | None = None,
    ) -> None:
        from rich import progress as rich
        from rich.console import Console

        self.title = title
        self.cells = cells
        self.sweep = sweep
        self.console = console or Console(stderr=True)
        self.bars = rich.Progress(
            *(rich.TextColumn("{task.description}"), rich.BarColumn(24)),
            *(rich.TaskProgressColumn(), rich.TimeElapsedColumn()),
            console=self.console,
            disable=not self.console.is_terminal,
            speed_estimate_period=inf,  # of the time left: since the first look that saw any work
            transient=True,
        )
        known = cells()
        #: Those that something may still happen to, as of the last look.
        self.open = [cell for cell in known if not cell.is_through(sweep)]
        #: Whether there were some of them that nobody trains and somebody should.
        self.left = bool(self.open)
        self.total, self.before, self.failed = len(known), len(known) - len(self.open), 0
        self._ended = {cell.number for cell in known} - {cell.number for cell in self.open}
        self.bars.add_task(title, total=self.total, completed=self.before)
        self._all = self.bars.tasks[0]
        # Of each run that was seen to be trained, or to end; `first`: how much was done by then.
        self._bars: dict[int, Task] = {}

    def say(self, text: str) -> None:
        """A line above the bars."""
        self.console.print(shown(text), markup=False, highlight=False, soft_wrap=True)

    def glance(self) -> None:
        """Look; what cannot be read now is perhaps there the next time."""
        with suppress(AsdError, OSError):
            self.look()

    def look(self) -> None:
        """Read what has become of the cells, and show it."""
        open_cells, ended, left = [], [], False
        for cell in self.cells():
            if cell.number in self._ended:
                continue
            if cell.is_through(self.sweep):
                ended.append((cell, self._show(cell, 1.0, running=False)))
                continue
            open_cells.append(cell)
            running = cell.state() == IN_PROGRESS
            left |= not running
            if running or cell.number in self._bars:
                with suppress(OSError, KeyError):  # it may end or begin anew meanwhile
                    self._show(cell, cell.progress(), running)
        self.open, self.left = open_cells, left
        bars = self._bars.values()
        # What was done of a run before it was first seen says nothing of the rest.
        before = sum(bar.fields["first"] for bar in bars)
        done = self.before + sum(bar.completed for bar in bars) - before
        self.bars.update(self._all.id, completed=done, total=self.total - before)
        # Before a run has ended, nothing is known of runs that stop early.
        rest = self._all.time_remaining if ended or len(self._ended) > self.before else None
        left_text = [f"about {duration(rest)} left"] if rest else []
        for cell, bar in ended:
            self._ended.add(cell.number)
            self.failed += cell.failure() is not None
            place = f"[{len(self._ended):>{len(str(self.total))}}/{self.total}]"
            how = f"{cell.summary()} ({duration(bar.elapsed or 0)})"
            self.say("; ".join([f"{place} {cell.label}: {how}", *left_text]))
        running_text = f"{sum(bar.visible for bar in bars)} running"
        words = [f"{self.title}: {len(self._ended)}/{self.total} done", running_text]
        words += [f"{self.failed} failed"] * bool(self.failed) + left_text
        self.bars.update(self._all.id, description=", ".join(words))

    def _show(self, cell: Cell, share: float, running: bool) -> Task:
        """Its bar, seen while somebody trains it, and has not only to tell MLflow all of it."""
        if cell.number not in self._bars:
            name = self.bars.add_task(f"  {cell.label}", total=1.0, first=share if running else 0.0)
            self._bars[cell.number] = self.bars.tasks[name]
        bar = self._bars[cell.number]
        self.bars.update(bar.id, completed=share, visible=running)
        return bar


@contextmanager
def displayed(
    title: str, cells: Callable[[], Sequence[Cell]], sweep: str | None = None
) -> Iterator[Display]:
    """Show a sweep from its first line to those that say how it ended and what goes on with it."""
    display = Display(title, cells, sweep)
    with display.bars:
        display.say(state_line(title, cells()))
        try:
            yield display
        finally:
            for line in failure_lines(cells()):
                display.say(line)
            took = duration(display.bars.tasks[0].elapsed or 0)
            display.say(f"{state_line(title, cells())}, in {took}")
            if display.open if sweep is None else any(cell.state() != DONE for cell in cells()):
                command = redacted(shlex.join(["python", *sys.orig_argv[1:]]))
                display.say(f"what is missing: {command}")


def duration(seconds: float) -> str:
    """Seconds as hours, minutes and seconds: ``0:05:12``."""
    return str(timedelta(seconds=round(seconds)))
