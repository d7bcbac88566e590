"""What becomes of cells that other processes train, read from their run folders."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from asd.sweeps.cells import DONE, IN_PROGRESS, Cell
from asd.sweeps.display import Display
from asd.sweeps.outcomes import Outcome, failure_of, summary


class Observation:
    """Looks at cells again and again, and tells a display what has changed.

    Args:
        cells: to look at.
        display: is told.
        is_through: whether nothing more will happen to a cell in this state.
        outcomes: gets what has become of those.
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        display: Display,
        is_through: Callable[[Cell, str], bool],
        outcomes: list[Outcome],
    ) -> None:
        self.display = display
        self.is_through = is_through
        #: Those that something may still happen to.
        self.open = {cell.number: cell for cell in cells}
        #: Of these, those that a process trains at the moment.
        self.running: set[int] = set()
        self.outcomes = outcomes

    def look(self) -> None:
        """Read the folders once."""
        for number, cell in list(self.open.items()):
            state = cell.state()
            if state == IN_PROGRESS and number not in self.running:
                self.running.add(number)
                self.display.started(cell)
            elif state != IN_PROGRESS and number in self.running:
                self.running.remove(number)
                if not self.is_through(cell, state):
                    self.display.stopped(cell)
            if state != IN_PROGRESS and self.is_through(cell, state):
                del self.open[number]
                outcome = Outcome(cell, None, None if state == DONE else failure_of(cell))
                self.outcomes.append(outcome)
                self.display.ended(cell, outcome.error, summary(outcome))
