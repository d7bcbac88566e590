"""How far a sweep is: live bars on a terminal, a line a run in a log."""

from __future__ import annotations

import logging
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from asd.sweeps.cells import Cell

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

log = logging.getLogger(__name__)

# Bars of runs that a terminal shows at once; more are counted.
_BARS = 8
# Runs' worth of work that the time left can be told from.
_ENOUGH = 0.1
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
        from rich.console import Console

        self.title = title
        self.total = total
        self.before = done
        self.ended_now = 0
        self.failed = 0
        self.console = console or Console(stderr=True)
        self._running: dict[int, tuple[Cell, float]] = {}
        self._began = time.monotonic()
        self._shares: dict[int, float] = {}
        # How far runs were when their first epoch was seen, when that was first, and what has been
        # done since: what came before (imports, features) says nothing of the rest.
        self._first_shares: dict[int, float] = {}
        self._first_epoch: float | None = None
        self._ended_shares = 0.0
        self._stop = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._live: Any = None

    def __enter__(self) -> Display:
        if self.console.is_terminal:
            from rich.live import Live

            self._live = Live(
                get_renderable=self._picture,
                console=self.console,
                refresh_per_second=4,
                transient=True,  # the last lines say how it went
            )
            self._live.start()
        self._watch.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._watch.join()
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """A line above the bars."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def started(self, cell: Cell) -> None:
        """A run begins, or has begun before."""
        self._running.setdefault(cell.number, (cell, time.monotonic()))

    def stopped(self, cell: Cell) -> None:
        """A run has stopped before its end; it may be started again."""
        self._running.pop(cell.number, None)
        self._ended_shares += self._shares.pop(cell.number, 0.0)
        self._ended_shares -= self._first_shares.pop(cell.number, 0.0)

    def ended(self, cell: Cell, error: BaseException | None, said: str) -> None:
        """A run has ended.

        Args:
            cell: its cell.
            error: why it failed; None if it did not.
            said: how it went, in few words.
        """
        _, began = self._running.pop(cell.number, (cell, time.monotonic()))
        self._shares.pop(cell.number, None)
        self._ended_shares += 1.0 - self._first_shares.pop(cell.number, 0.0)
        self.ended_now += 1
        self.failed += error is not None
        spent = duration(time.monotonic() - began)
        place = f"[{self.before + self.ended_now:>{len(str(self.total))}}/{self.total}]"
        left = self.left()
        after = f"; about {duration(left)} left" if left else ""
        self.say(f"{place} {cell.label}: {said} ({spent}){after}")

    def left(self) -> float | None:
        """Seconds to the end, if it goes on as it did; None while nothing is known."""
        shares = sum(self._shares.values())
        done = self._ended_shares + shares - sum(self._first_shares.values())
        todo = self.total - self.before - self.ended_now - shares
        if done < _ENOUGH or todo <= 0:
            return None
        return (time.monotonic() - (self._first_epoch or self._began)) / done * todo

    def _look(self) -> None:
        while not self._stop.wait(_PERIOD):
            for number, (cell, _) in list(self._running.items()):
                try:
                    share = cell.progress()
                except Exception:  # a file that is being replaced; the next look will do
                    continue
                if number in self._running and share > 0:
                    self._shares[number] = share
                    self._first_shares.setdefault(number, share)
                    self._first_epoch = self._first_epoch or time.monotonic()

    def _picture(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        done = self.before + self.ended_now
        words = [f"{self.title}: {done}/{self.total} done"]
        running = list(self._running.values())
        if running:
            words.append(f"{len(running)} running")
        if self.failed:
            words.append(f"{self.failed} failed")
        if (left := self.left()) is not None:
            words.append(f"about {duration(left)} left")
        bars = Table.grid(padding=(0, 1))
        for cell, began in running[:_BARS]:
            share = self._shares.get(cell.number, 0.0)
            bars.add_row(
                f"  {cell.label}",
                ProgressBar(total=1.0, completed=share, width=24),
                f"{100 * share:3.0f} %",
                duration(time.monotonic() - began),
            )
        if len(running) > _BARS:
            bars.add_row(f"  and {len(running) - _BARS} more")
        return Group(", ".join(words), bars)


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration(7.4), duration(312), duration(9000)
    ('7 s', '5 min', '2 h 30 min')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
