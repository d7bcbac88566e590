"""How far a figure would move on other clips, and in other trainings: intervals and p values.

Within each machine ID the normals are drawn with replacement among the normals, the anomalies among
the anomalies, as many as there are: the stratified bootstrap (Efron and Tibshirani, An Introduction
to the Bootstrap, 1993, chapter 8). The draw of a machine ID follows from its name and its clip
counts alone, so two runs on the same clips are resampled jointly and may be compared in pairs.

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
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from asd.options import check_number, check_whole
from asd.scoring.metrics import figure_name

Floats = npt.NDArray[np.float64]
MEAN = "mean"
COMPARED = ("auc", "pauc")  # metrics that have intervals, comparisons and claims
# Of each system, before anything is decided: with two the interval is about four times as wide as
# with many, and the variance between them is hardly known.
TRAININGS_NEEDED = 3
_ROUNDING = 1e-9  # of figures that are sums over clips


@dataclass(frozen=True)
class Resampling:
    """How many resamples, and the confidence of intervals."""

    resamples: int = 1000
    confidence: float = 0.95

    def __post_init__(self) -> None:
        check_whole("resamples", self.resamples, 1)
        check_number("confidence", self.confidence, 0.01, 0.9999)

    @property
    def level(self) -> str:
        """The confidence in words, such as "95 %"."""
        return f"{100 * self.confidence:g} %"

    def clips(self, name: str, labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int16]:
        """[resamples, clips] how often each clip of a machine ID is drawn; labels are strata."""
        drawn = np.empty((self.resamples, len(labels)), dtype=np.int16)
        for label in np.unique(labels):
            rows = np.flatnonzero(labels == label)
            clips = len(rows)
            rng = np.random.default_rng([0, zlib.crc32(f"{name} {label}".encode()), clips])
            ones = rng.integers(0, clips, (self.resamples, clips))
            ones += clips * np.arange(self.resamples)[:, None]
            counts = np.bincount(ones.ravel(), minlength=self.resamples * clips)
            drawn[:, rows] = counts.reshape(self.resamples, clips)
        return drawn


def replicates(frame: pd.DataFrame, max_fpr: float, resampling: Resampling) -> dict[str, Floats]:
    """Resample the clips of a scores frame and compute AUC and pAUC on each resample.

    Args:
        frame: of ``asd.scoring.clip_scores``; clips of unknown label are left out.
        max_fpr: p of the partial AUC, in (0, 1].

    Returns:
        ``asd.scoring.metrics.figure_name`` -> [resamples]. What is undefined in the frame is NaN
        throughout, and left out of means.
    """
    known = frame[frame["label"] >= 0].sort_values(["machine", "id", "file"])
    parts = {}
    for (machine, machine_id), own in known.groupby(["machine", "id"]):
        weights = resampling.clips(f"{machine} {machine_id}", own["label"].to_numpy())
        for metric, values in resampled_figures(own, weights, max_fpr).items():
            parts[metric, machine, machine_id] = values
    if not parts:
        return {}
    ids = pd.DataFrame(parts).T
    types = ids.groupby(level=[0, 1]).mean()  # of those that are defined
    means = pd.concat({MEAN: types.groupby(level=0).mean()}).swaplevel()
    return {
        figure_name(*at): values
        for part in (ids, types, means)
        for at, values in zip(part.index, part.to_numpy(), strict=True)
    }


def resampled_figures(
    clips: pd.DataFrame, weights: npt.NDArray[np.int16], max_fpr: float
) -> dict[str, Floats]:
    """``COMPARED`` -> [resamples], as ``asd.scoring.metrics`` defines them; NaN: undefined.

    Args:
        clips: [n] with label, 0 or 1, and score.
        weights: [resamples, n], how often each clip counts; every row holds as many normals and as
            many anomalies as any other.
        max_fpr: p in (0, 1].
    """
    labels, scores = clips["label"].to_numpy(), clips["score"].to_numpy(dtype=np.float64)
    undefined = np.full(len(weights), np.nan)
    order = np.argsort(-scores, kind="stable")
    ordered, anomaly = scores[order], labels[order] == 1
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)[: len(ordered)])
    drawn = weights[:, order].astype(np.int32)

    def above(count: npt.NDArray[np.int32]) -> Floats:
        sums = np.zeros((len(weights), len(last) + 1))
        sums[:, 1:] = np.cumsum(count, axis=1)[:, last]
        return sums

    tps, fps = above(drawn * anomaly), above(drawn * ~anomaly)
    normals, anomalies = float(fps[0, -1]), float(tps[0, -1])
    if not normals or not anomalies:
        return dict.fromkeys(COMPARED, undefined)
    twice = (np.diff(fps) * (tps[:, 1:] + tps[:, :-1])).sum(axis=1)
    left, right = fps[:, :-1], fps[:, 1:]
    inside = np.clip(max_fpr * normals - left, 0, right - left)  # of each step, in normals
    slope = np.diff(tps) / np.where(right > left, right - left, 1)
    area = (inside * (tps[:, :-1] + slope * inside / 2)).sum(axis=1) / (normals * anomalies)
    chance = max_fpr**2 / 2
    return {
        "auc": twice / (2 * normals * anomalies),
        "pauc": 0.5 * (1 + (area - chance) / (max_fpr - chance)),
    }


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

    Both are on the same resamples of the same clips. Trainings are taken for independent, those of
    one seed too. With a single training of ``a`` or ``b`` the interval is the percentiles over
    clips alone: it holds for these very trainings. NaN where the figure is undefined.
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
