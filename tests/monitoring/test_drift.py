"""The drift martingale keeps its bound where nothing drifts, and grows where something does."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from asd.monitoring.drift import DriftMartingale

ALPHA = 0.05


def highest(calibration: np.ndarray, stream: np.ndarray, seed: int) -> float:
    martingale = DriftMartingale(calibration, seed=seed)
    values = [martingale.value]
    for score in stream:
        martingale.add(score)
        values.append(martingale.value)
    assert martingale.highest == max(values)
    return max(values)


def test_p_values_are_uniform_whatever_the_calibration() -> None:
    random = np.random.default_rng(0)
    martingale = DriftMartingale(random.gamma(2.0, size=20))
    p_values = [martingale.add(score) for score in random.gamma(2.0, size=2000)]
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


@pytest.mark.parametrize("decimals", [0, 8])  # many ties; none
def test_without_drift_the_bound_holds(decimals: int) -> None:
    streams = 400
    alarms = 0
    for seed in range(streams):
        scores = np.random.default_rng(seed).gamma(2.0, size=320).round(decimals)
        alarms += highest(scores[:20], scores[20:], seed) >= 1 / ALPHA
    # Ville's inequality: the rate is at most alpha; this many would come by chance in 1 of 1,000.
    assert alarms <= stats.binom.ppf(0.999, streams, ALPHA)


@pytest.mark.parametrize("drift", ["up", "down", "slow"])
def test_drift_is_found(drift: str) -> None:
    found = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        stream = random.normal(size=400)
        stream[100:] += {"up": 1.5, "down": -1.5, "slow": np.linspace(0, 3, 300)}[drift]
        found += highest(random.normal(size=100), stream, seed) >= 100
    assert found >= 38


def test_one_value_by_hand() -> None:
    martingale = DriftMartingale([1.0, 2.0, 3.0], jump=0.0)
    tie = np.random.default_rng(0).random()
    p_value = martingale.add(2.5)  # one is higher, itself is equal
    assert p_value == pytest.approx((1 + tie) / 4)
    assert martingale.value == pytest.approx(1.0)  # the bets up and down cancel at first
    tie = np.random.default_rng(0).random(2)[1]
    second = martingale.add(9.0)
    assert second == pytest.approx(tie / 5)
    # A half of the stake began at the first score, a sixth at the second, each a third a bet.
    first = [1 / 6 * (1 + bet * (p_value - 0.5)) for bet in (-1, 0, 1)]
    bets = [1 + bet * (second - 0.5) for bet in (-1, 0, 1)]
    expected = sum((one + 1 / 18) * bet for one, bet in zip(first, bets, strict=True)) + 1 / 3
    assert martingale.value == pytest.approx(expected)


def test_drift_is_found_after_a_long_calm() -> None:
    """One jumper alone would have lost all but 1e-33 of its stake, and need 250 scores."""
    random = np.random.default_rng(0)
    martingale = DriftMartingale(random.normal(size=100))
    for score in random.normal(size=20_000):
        martingale.add(score)
    assert 1e-5 < martingale.value < martingale.highest < 20
    for score in random.normal(2, size=100):
        martingale.add(score)
    assert martingale.value > 1000
