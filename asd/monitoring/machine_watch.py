"""What a stream of scores says of one machine: an alarm after k of n, and drift."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from asd.monitoring.drift import DriftMartingale
from asd.options import check_number, check_whole


class MachineWatch:
    """The last clips of a machine, and how far its scores have drifted.

    Args:
        calibration: scores of held-out normal clips of it; of none, its own past stands for them.
        alarm: k and n: so many of its last so many scored clips must be over the threshold.
        drift: chance that drift is ever said of a machine that does not drift.

    Raises:
        AsdError: a value that cannot be; names the option.
    """

    def __init__(self, calibration: Iterable[float], alarm: tuple[int, int], drift: float) -> None:
        check_whole("--alarm: N", alarm[1], 1)
        check_whole("--alarm: K", alarm[0], 1, alarm[1])
        check_number("--drift", drift, 0, 1, above=True)
        self._enough = alarm[0]
        self._over: deque[bool] = deque(maxlen=alarm[1])
        self._martingale = DriftMartingale(calibration)
        self._bound, self._drifted = 1 / drift, False

    def add(self, score: float, verdict: str) -> dict[str, bool | float | None]:
        """Take the next score and its verdict.

        Returns:
            ``alarm``, None without a verdict; ``drift``, the martingale's value now; ``drifted``,
            which stays once that has reached the bound.
        """
        self._over.append(verdict == "ALARM")
        self._martingale.add(score)
        value = self._martingale.value
        self._drifted = self._drifted or value >= self._bound
        alarm = sum(self._over) >= self._enough if verdict else None
        return {"alarm": alarm, "drift": float(f"{value:.4g}"), "drifted": self._drifted}
