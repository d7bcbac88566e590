"""How far a sweep is: live bars on a terminal, a line a run in a log."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from asd.errors import AsdError, shown
from asd.sweeps.cells import IN_PROGRESS, Cell

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

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
        through = [cell for cell in known if cell.is_through(sweep)]
        self.total, self.before, self.failed = len(known), len(through), 0
        self._ended = {cell.number for cell in through}
        #: Those that something may still happen to, as of the last look.
        self.open = [cell for cell in known if cell.number not in self._ended]
        #: Whether there were some of them that nobody trains and somebody should.
        self.left = bool(self.open)
        self._all = self.bars.add_task(title, total=self.total, completed=self.before)
        self._running: dict[int, TaskID] = {}
        # When each run was first seen to be trained.
        self._began: dict[int, float] = {}
        # How much of each run had been done when it was first seen, and of each running one now.
        self._first: dict[int, float] = {}
        self._shares: dict[int, float] = {}
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

    @contextmanager
    def live(self) -> Iterator[None]:
        """Look every second meanwhile, in a thread."""
        over = threading.Event()

        def look() -> None:
            while not over.wait(PERIOD):
                self.glance()

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

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
            if cell.state() == IN_PROGRESS:
                self._show(cell)
            else:
                left = True
                self._hide(cell)
        self.open, self.left = open_cells, left
        self._measure()
        words = [f"{self.title}: {len(self._ended)}/{self.total} done"]
        words += [f"{len(self._running)} running"]
        words += [f"{self.failed} failed"] if self.failed else []
        words += [f"about {duration(rest)} left"] if (rest := self.time_left()) else []
        self.bars.update(self._all, description=", ".join(words))

    def time_left(self) -> float | None:
        """Seconds to the end, if it goes on as since the first epoch; None until a run has ended.

        Before, nothing is known of runs that stop early. What came before the first epoch (imports,
        features) comes once.
        """
        if self._start is None or len(self._ended) == self.before:
            return None
        (began, first), task = self._start, self.bars.tasks[0]
        if task.completed <= first:
            return None
        rest = (task.total or 0) - task.completed
        return (self.bars.get_time() - began) * rest / (task.completed - first)

    def _measure(self) -> None:
        """Work done in all, and when the first of it was seen.

        What was done of a run before it was first seen says nothing of the rest.
        """
        before = sum(self._first.values())
        done = len(self._ended) + sum(self._shares.values()) - before
        if self._start is None and done > self.before:
            self._start = self.bars.get_time(), done
        self.bars.update(self._all, total=self.total - before, completed=done)

    def _show(self, cell: Cell) -> None:
        if cell.number not in self._running:
            self._running[cell.number] = self.bars.add_task(f"  {cell.label}", total=1.0)
            self._began.setdefault(cell.number, self.bars.get_time())
        with suppress(OSError, KeyError):  # it may end or begin anew meanwhile
            share = self._shares[cell.number] = cell.progress()
            self._first.setdefault(cell.number, share)
            self.bars.update(self._running[cell.number], completed=share)

    def _hide(self, cell: Cell) -> None:
        """Of a run that nobody trains any more, or has trained and not yet told MLflow all of."""
        if cell.number in self._running:
            self.bars.remove_task(self._running.pop(cell.number))

    def _end(self, cell: Cell) -> None:
        self._hide(cell)
        self._shares.pop(cell.number, None)
        now = self.bars.get_time()
        spent = duration(now - self._began.get(cell.number, now))
        self._ended.add(cell.number)
        self._measure()
        self.failed += cell.failure() is not None
        place = f"[{len(self._ended):>{len(str(self.total))}}/{self.total}]"
        after = f"; about {duration(rest)} left" if (rest := self.time_left()) else ""
        self.say(f"{place} {cell.label}: {cell.summary()} ({spent}){after}")


def duration(seconds: float) -> str:
    """Seconds as hours, minutes and seconds: ``0:05:12``."""
    return str(timedelta(seconds=round(seconds)))
