"""How far a sweep is: live bars on a terminal, a line a run in a log."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from asd.errors import AsdError
from asd.sweeps.cells import BROKEN, DONE, IN_PROGRESS, Cell
from asd.sweeps.outcomes import Outcome, failure_of, summary

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

# Seconds between two looks at the run folders.
_PERIOD = 1.0


class Display:
    """Shows a sweep while it runs. What it knows of running jobs it reads from their run folders.

    Args:
        title: of the sweep.
        total: runs that there will be.
        done: of them, finished before.
        console: where to; None: the standard error stream.
    """

    def __init__(
        self, title: str, total: int, done: int = 0, console: Console | None = None
    ) -> None:
        from rich import progress as rich
        from rich.console import Console

        self.title = title
        self.total = total
        self.done = done
        self.failed = 0
        self.console = console or Console(stderr=True)
        self.bars = rich.Progress(
            *(rich.TextColumn("{task.description}"), rich.BarColumn(24)),
            *(rich.TaskProgressColumn(), rich.TimeElapsedColumn()),
            console=self.console,
            disable=not self.console.is_terminal,
            transient=True,
            speed_estimate_period=math.inf,
        )
        # The first bar is the sweep's, in runs' worth of work, from which rich tells the time left.
        self._all = self.bars.add_task(title, total=total, completed=done)
        self._running: dict[int, tuple[Cell, TaskID, float]] = {}
        self._shares: dict[int, float] = {}
        self._stop = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Display:
        self.bars.start()
        self._watch.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._watch.join()
        self.bars.stop()

    def say(self, text: str) -> None:
        """A line above the bars."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def started(self, cell: Cell) -> None:
        """A run begins, or has begun before."""
        if cell.number not in self._running:
            bar = self.bars.add_task(f"  {cell.label}", total=1.0)
            self._running[cell.number] = cell, bar, time.monotonic()

    def stopped(self, cell: Cell) -> float:
        """A run has stopped, perhaps to be started again; gives the seconds that it was seen."""
        if cell.number not in self._running:
            return 0.0
        _, bar, began = self._running.pop(cell.number)
        self.bars.remove_task(bar)
        return time.monotonic() - began

    def ended(self, cell: Cell, error: BaseException | None, said: str) -> None:
        """A run has ended.

        Args:
            cell: its cell.
            error: why it failed; None if it did not.
            said: how it went, in few words.
        """
        spent = duration(self.stopped(cell))
        self._shares.setdefault(cell.number, 0.0)
        self._worked(cell, 1.0)
        self.done += 1
        self.failed += error is not None
        place = f"[{self.done:>{len(str(self.total))}}/{self.total}]"
        left = self.left() if self.done < self.total else None
        after = f"; about {duration(left)} left" if left else ""
        self.say(f"{place} {cell.label}: {said} ({spent}){after}")

    def left(self) -> float | None:
        """Seconds to the end, if it goes on as it did; None while nothing is known."""
        return self.bars.tasks[0].time_remaining

    def _worked(self, cell: Cell, share: float) -> None:
        """A run has got so far; what was done before it was first seen says nothing of the rest."""
        if cell.number in self._shares:
            self.bars.advance(self._all, share - self._shares[cell.number])
        else:
            self.bars.update(self._all, total=(self.bars.tasks[0].total or 0.0) - share)
        self._shares[cell.number] = share

    def _look(self) -> None:
        while not self._stop.wait(_PERIOD):
            for cell, bar, _ in list(self._running.values()):
                with suppress(AsdError, OSError, KeyError):  # it may end or begin anew meanwhile
                    share = cell.progress()
                    self.bars.update(bar, completed=share)
                    if cell.number in self._running:
                        self._worked(cell, share)
            words = [
                f"{self.title}: {self.done}/{self.total} done",
                f"{len(self._running)} running",
            ]
            words += [f"{self.failed} failed"] if self.failed else []
            words += [f"about {duration(left)} left"] if (left := self.left()) else []
            self.bars.update(self._all, description=", ".join(words))


class Observation:
    """Looks at cells in whichever process they are trained, and tells a display what has changed.

    Args:
        cells: to look at.
        display: is told.
    """

    def __init__(self, cells: Sequence[Cell], display: Display) -> None:
        self.display = display
        #: Names the start of the sweep that may try again what failed before; None: nobody will.
        self.sweep: str | None = None
        #: Those that something may still happen to.
        self.open = {cell.number: cell for cell in cells}
        #: What has become of the others.
        self.outcomes: list[Outcome] = []

    def look(self) -> bool:
        """Read the folders once; whether there are cells that nobody trains and somebody should."""
        left = False
        for cell in list(self.open.values()):
            state = cell.state()
            if state == IN_PROGRESS:
                self.display.started(cell)
            elif cell.is_through(self.sweep) if self.sweep else state in (DONE, BROKEN):
                del self.open[cell.number]
                outcome = Outcome(cell, None, None if state == DONE else failure_of(cell))
                self.outcomes.append(outcome)
                self.display.ended(cell, outcome.error, summary(outcome))
            else:
                left = True
                self.display.stopped(cell)
        return left


def duration(seconds: float) -> str:
    """Seconds as hours, minutes and seconds: ``0:05:12``."""
    return str(timedelta(seconds=round(seconds)))
