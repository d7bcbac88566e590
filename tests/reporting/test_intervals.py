"""Intervals over clips and trainings, against scipy's tests and simulated equals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from asd.reporting.bootstrap import Resampling
from asd.reporting.intervals import Sample, estimate, holm
from benchmarks.error_rates import error_rate

HOW = Resampling(4000, 0.9)
A, B = np.array([0.81, 0.78, 0.84, 0.80]), np.array([0.74, 0.79, 0.71])


def sample(values: np.ndarray, clips: np.ndarray) -> Sample:
    """Trainings that the clips move all alike."""
    return Sample(values, values[:, None] + clips)


def test_without_an_effect_of_clips_it_is_students_and_welchs_test() -> None:
    still = np.zeros(HOW.resamples)
    a, b = sample(A, still), sample(B, still)
    one, two = stats.ttest_1samp(A, 0), stats.ttest_ind(A, B, equal_var=False)
    for ours, theirs in ((estimate(HOW, a), one), (estimate(HOW, a, b), two)):
        expected = [*theirs.confidence_interval(HOW.confidence), theirs.pvalue]
        np.testing.assert_allclose(ours[1:], expected, rtol=1e-9)


def test_without_a_spread_of_trainings_it_is_normal_over_clips() -> None:
    clips = 0.02 * np.random.default_rng(0).standard_normal(HOW.resamples)
    same = np.full(3, 0.7)
    found = estimate(HOW, sample(same + 0.1, clips), sample(same, -clips))
    expected = stats.norm.interval(HOW.confidence, 0.1, 2 * clips.std())
    np.testing.assert_allclose(found[:3], [0.1, *expected], rtol=1e-9)
    lucky = Sample(same, same[:, None] + np.random.default_rng(1).permuted([clips] * 3, axis=1))
    expected = stats.norm.interval(HOW.confidence, 0.7, lucky.resampled.mean(axis=0).std())
    np.testing.assert_allclose(estimate(HOW, lucky)[1:3], expected, rtol=1e-9)
    twins = estimate(HOW, sample(same, clips), sample(same, clips))
    assert twins == (0, 0, 0, 1)  # what the clips do to both alike cancels
    assert estimate(HOW, sample(same + 0.299, clips)).high == 1


def test_one_training_has_the_percentiles_of_clips_and_no_p() -> None:
    clips = np.linspace(-1, 1, HOW.resamples)
    found = estimate(HOW, sample(A[:1], 0 * clips), sample(B, clips))
    np.testing.assert_allclose(found[1:3], [A[0] - B.mean() - 0.9, A[0] - B.mean() + 0.9])
    assert np.isnan(found.p) and np.isnan(estimate(HOW, sample(A * np.nan, clips)).low)


@pytest.mark.parametrize(("seeds", "spread"), [((3, 3), 0), ((3, 3), 1), ((3, 3), 3), ((3,), 3)])
def test_intervals_of_three_seeds_err_in_five_percent(seeds: tuple[int], spread: float) -> None:
    """Trainings drawn with replacement, as before, erred in 2 to 12 %."""
    assert 0.015 <= error_rate(seeds, spread, 300) <= 0.075


def test_a_difference_is_found() -> None:
    assert error_rate((5, 5), 1.0, 60, better=4) > 0.8


def test_holms_correction_as_r_has_it() -> None:
    """p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") of R."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.7, 0.6]) == [1, 1] and holm([]) == []
    assert np.isnan(holm([np.nan, np.nan])).all()  # of single trainings
