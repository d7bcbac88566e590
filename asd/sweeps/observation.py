"""What becomes of cells, in whichever process they are trained, read from their run folders."""

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
    """

    def __init__(
        self, cells: Sequence[Cell], display: Display, is_through: Callable[[Cell, str], bool]
    ) -> None:
        self.display = display
        self.is_through = is_through
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
            elif self.is_through(cell, state):
                del self.open[cell.number]
                outcome = Outcome(cell, None, None if state == DONE else failure_of(cell))
                self.outcomes.append(outcome)
                self.display.ended(cell, outcome.error, summary(outcome))
            else:
                left = True
                self.display.stopped(cell)
        return left
