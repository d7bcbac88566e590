"""How far a sweep is: live bars on a terminal, a line a run in a log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from asd.errors import AsdError, shown
from asd.sweeps.cells import IN_PROGRESS, Cell

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Task

#: Seconds between two looks at the runs.
PERIOD = 1.0


class Display:
    """Shows the cells of a sweep, in whichever processes they are trained.

    All it knows it reads from them at each look.

    Args:
        title: of the sweep.
        cells: gives them, with what has become of each by now.
        sweep: names the start that may try again what failed before; None: nobody will.
        console: where to; None: the standard error stream.
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
            transient=True,
        )
        known = cells()
        #: Those that something may still happen to, as of the last look.
        self.open = [cell for cell in known if not cell.is_through(sweep)]
        #: Whether there were some of them that nobody trains and somebody should.
        self.left = bool(self.open)
        self.total, self.before, self.failed = len(known), len(known) - len(self.open), 0
        self._ended = {cell.number for cell in known} - {cell.number for cell in self.open}
        self._all = self.bars.add_task(title, total=self.total, completed=self.before)
        # Of each run that was seen to be trained, or to end; `first`: how much was done by then.
        self._bars: dict[int, Task] = {}
        # When work of this start was first seen, and how much was done by then.
        self._start: tuple[float, float] | None = None

    def __enter__(self) -> Display:
        self.bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bars.stop()

    def say(self, text: str) -> None:
        """A line above the bars."""
        self.console.print(shown(text), markup=False, highlight=False, soft_wrap=True)

    def glance(self) -> None:
        """Look; what cannot be read now is perhaps there the next time."""
        with suppress(AsdError, OSError):
            self.look()

    def look(self) -> None:
        """Read what has become of the cells, and show it.

        Raises:
            AsdError: what is to be read is damaged or away.
        """
        open_cells, left = [], False
        for cell in self.cells():
            if cell.number in self._ended:
                continue
            if cell.is_through(self.sweep):
                self._end(cell)
                continue
            open_cells.append(cell)
            running = cell.state() == IN_PROGRESS
            left |= not running
            if running or cell.number in self._bars:
                with suppress(OSError, KeyError):  # it may end or begin anew meanwhile
                    self._show(cell, cell.progress(), running)
        self.open, self.left = open_cells, left
        done, total = self._work()
        if self._start is None and done > self.before:
            self._start = self.bars.get_time(), done
        words = [f"{self.title}: {len(self._ended)}/{self.total} done"]
        words += [f"{sum(bar.visible for bar in self._bars.values())} running"]
        words += [f"{self.failed} failed"] if self.failed else []
        words += [f"about {duration(rest)} left"] if (rest := self.time_left()) else []
        self.bars.update(self._all, description=", ".join(words), total=total, completed=done)

    def time_left(self) -> float | None:
        """Seconds to the end, if it goes on as since the first epoch; None until a run has ended.

        Before, nothing is known of runs that stop early. What came before the first epoch (imports,
        features) comes once.
        """
        if self._start is None or len(self._ended) == self.before:
            return None
        (began, first), (done, total) = self._start, self._work()
        if done <= first:
            return None
        return (self.bars.get_time() - began) * (total - done) / (done - first)

    def _work(self) -> tuple[float, float]:
        """Work done and to do in all, in runs.

        What was done of a run before it was first seen says nothing of the rest.
        """
        bars = self._bars.values()
        done = self.before + sum(bar.completed - bar.fields["first"] for bar in bars)
        return done, self.total - sum(bar.fields["first"] for bar in bars)

    def _show(self, cell: Cell, share: float, running: bool) -> Task:
        """Its bar, seen while somebody trains it, and has not only to tell MLflow all of it."""
        if cell.number not in self._bars:
            name = self.bars.add_task(f"  {cell.label}", total=1.0, first=share if running else 0.0)
            self._bars[cell.number] = self.bars.tasks[name]
        bar = self._bars[cell.number]
        self.bars.update(bar.id, completed=share, visible=running)
        return bar

    def _end(self, cell: Cell) -> None:
        bar = self._show(cell, 1.0, running=False)
        self._ended.add(cell.number)
        self.failed += cell.failure() is not None
        place = f"[{len(self._ended):>{len(str(self.total))}}/{self.total}]"
        after = f"; about {duration(rest)} left" if (rest := self.time_left()) else ""
        self.say(f"{place} {cell.label}: {cell.summary()} ({duration(bar.elapsed or 0)}){after}")


def duration(seconds: float) -> str:
    """Seconds as hours, minutes and seconds: ``0:05:12``."""
    return str(timedelta(seconds=round(seconds)))
