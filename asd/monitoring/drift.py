"""Drift: whether a machine's scores still come from where the calibration's came from."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable

import numpy as np


class DriftMartingale:
    """Simple jumpers (Vovk et al., COPA 2021) begun at every score, as one martingale.

    Each new score gets the smoothed p-value of its rank among the calibration's scores and all of
    the stream so far. While they are exchangeable these are independent and uniform, and the value
    is a martingale that starts at 1: by Ville's inequality it ever reaches ``1 / alpha`` with
    probability ``alpha`` at most, however long the stream. A p-value against the calibration alone
    would not do: clips of one stream share the calibration's luck.

    A jumper bets on low, high or any p-values, and changes its mind at times; in a long calm it
    loses almost all. So the n-th score sees 1 / n - 1 / (n + 1) of the stake begin anew, and drift
    that comes late is found nearly as soon.

    Args:
        calibration: scores of held-out normal clips.
        jump: share of the capital that changes its bet at each score; 0.01 in the paper.
        seed: of the numbers that break ties, so that a stream has one answer.
    """

    _BETS = np.array([-1.0, 0.0, 1.0])

    def __init__(self, calibration: Iterable[float], jump: float = 0.01, seed: int = 0) -> None:
        self._scores = sorted(calibration)
        self._jump = jump
        self._ties = np.random.default_rng(seed)
        self._capital = np.zeros(3)  # in each bet; what has not begun is 1 / (n + 1)
        self._count = 0
        #: How many times its stake a bet against "nothing has changed" has won; its most so far.
        self.value = self.highest = 1.0

    def add(self, score: float) -> float:
        """Take the next score of the stream; gives its smoothed p-value, small if it is high."""
        below, upto = bisect_left(self._scores, score), bisect_right(self._scores, score)
        higher, equal = len(self._scores) - upto, upto - below + 1
        p_value = (higher + self._ties.random() * equal) / (len(self._scores) + 1)
        insort(self._scores, score)
        self._count += 1
        self._capital += (1 / self._count - 1 / (self._count + 1)) / 3
        mixed = (1 - self._jump) * self._capital + self._jump * self._capital.mean()
        self._capital = np.minimum(mixed * (1 + self._BETS * (p_value - 0.5)), 1e300)
        self.value = float(self._capital.sum()) + 1 / (self._count + 1)
        self.highest = max(self.highest, self.value)
        return p_value
