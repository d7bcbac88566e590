"""What a stream of scores says of one machine: an alarm after k of n, and drift."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from asd.errors import AsdError
from asd.monitoring.drift import DriftMartingale
from asd.options import check_whole


class MachineWatch:
    """The last clips of a machine, and how far its scores have drifted.

    Args:
        calibration: scores of held-out normal clips of it; none: drift is not known.
        alarm: k and n: so many of its last so many scored clips must be over the threshold.
        drift_bound: chance that drift is ever said of a machine that does not drift.
    """

    def __init__(
        self, calibration: Iterable[float], alarm: tuple[int, int], drift_bound: float
    ) -> None:
        self._enough = alarm[0]
        self._over: deque[bool] = deque(maxlen=alarm[1])
        scores = list(calibration)
        self._drift = DriftMartingale(scores) if scores else None
        self._bound = 1 / drift_bound
        self._drifted = False

    def add(self, score: float, over: bool) -> dict[str, object]:
        """Take the next score; gives ``alarm``, and where known ``drift`` and ``drifted``.

        ``drift`` is the martingale's value now; ``drifted`` stays once it has reached the bound.
        """
        self._over.append(over)
        said: dict[str, object] = {"alarm": sum(self._over) >= self._enough}
        if self._drift is not None:
            self._drift.add(score)
            self._drifted = self._drifted or self._drift.value >= self._bound
            said |= {"drift": float(f"{self._drift.value:.4g}"), "drifted": self._drifted}
        return said


def parse_alarm(text: str) -> tuple[int, int]:
    """``3/5`` as k and n.

    Raises:
        AsdError: it is something else.
    """
    enough, slash, last = text.partition("/")
    if not (slash and enough.isdecimal() and last.isdecimal()):
        raise AsdError(f"--alarm {text}: K/N, such as 3/5: alarm if 3 of the last 5 clips are over")
    check_whole("--alarm: N", int(last), 1)
    check_whole("--alarm: K", int(enough), 1, int(last))
    return int(enough), int(last)
