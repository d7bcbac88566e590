"""What a few trainings on one set of clips say of other trainings on other clips.

Every training is scored on every clip, as every reader reads every case: the variance of a mean
over n trainings is what the clips do to it, by the bootstrap, plus the variance between trainings
over n, of which n - 1 degrees of freedom know, less what the clips do to each training apart, which
would count twice (Obuchowski and Rockette, Communications in Statistics 24, 1995; degrees of
freedom: Hillis, Statistics in Medicine 26, 2007; the trainings of two systems are two samples, as
in Welch's test). The second part is never below zero: three seeds that agree by luck make no
interval narrower than the clips alone do. ``benchmarks/error_rates.py`` simulates the errors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from asd.reporting.bootstrap import Floats, Resampling

# Of each system, before anything is decided: with two the interval is about four times as wide as
# with many, and the variance between them is hardly known.
TRAININGS_NEEDED = 3
_ROUNDING = 1e-9  # of figures that are sums over clips


class Sample(NamedTuple):
    """A figure of each training of a system: [n], and on resampled clips: [n, resamples]."""

    values: Floats
    resampled: Floats


class Estimate(NamedTuple):
    """A mean, or a difference of two, with its interval.

    ``p`` is two-sided, of the hypothesis that it is 0; NaN with a single training.
    """

    value: float
    low: float
    high: float
    p: float


def estimate(how: Resampling, a: Sample, b: Sample | None = None) -> Estimate:
    """The mean of ``a`` over its trainings, or that minus the mean of ``b``.

    Args:
        how: the clips were resampled; the confidence is of the interval.
        a, b: on the same resamples of the same clips. Trainings are taken for independent, those of
            one seed too.

    Returns:
        With a single training of ``a`` or ``b`` the interval is the percentiles over clips alone:
        it holds for these very trainings. NaN where the figure is undefined.
    """
    samples = [a] if b is None else [a, b]
    value = float(a.values.mean() - (0 if b is None else b.values.mean()))
    moved = a.resampled.mean(axis=0) - (0 if b is None else b.resampled.mean(axis=0))
    if np.isnan(value) or min(len(one.values) for one in samples) == 1:
        tail = (1 - how.confidence) / 2
        low, high = np.quantile(moved, [tail, 1 - tail])
        return Estimate(value, float(low), float(high), math.nan)
    freedom = np.array([len(one.values) - 1 for one in samples])
    trainings = np.array([one.values.var(ddof=1) for one in samples]) / (freedom + 1)
    # Trainings differ also by what the clips do to each apart, which the clips' part has already.
    each = [(one.resampled - one.resampled.mean(axis=0)).var(axis=1).sum() for one in samples]
    apart = np.array(each) / freedom / (freedom + 1)
    variance = moved.var() + np.maximum(trainings - apart, 0).sum()
    if variance < _ROUNDING**2:
        return Estimate(value, value, value, float(abs(value) < _ROUNDING))
    uncertain = (trainings**2 / freedom).sum()
    student = stats.t(variance**2 / uncertain if uncertain else np.inf, scale=variance**0.5)
    half = student.ppf((1 + how.confidence) / 2)
    low, high = value - half, value + half
    if b is None:
        low, high = max(low, 0.0), min(high, 1.0)
    return Estimate(value, float(low), float(high), float(2 * student.sf(abs(value))))


def holm(p: Sequence[float]) -> list[float]:
    """p values of several questions, corrected so that the chance of any false answer is kept.

    Holm, Scandinavian Journal of Statistics 6, 1979.
    """
    values = np.array(p, dtype=np.float64)
    order = np.argsort(values)
    times = np.arange(len(order), 0, -1)
    values[order] = np.minimum(1, np.maximum.accumulate(times * values[order]))
    return list(map(float, values))
