"""Bootstrap over clips: how far a figure would move had other clips been recorded.

Within each machine ID the normals are drawn with replacement among the normals, the anomalies among
the anomalies, as many as there are: the stratified bootstrap (Efron and Tibshirani, An Introduction
to the Bootstrap, 1993, chapter 8). The draw of a machine ID follows from the seed, its name and its
clip counts alone, so two runs on the same clips are resampled jointly and may be compared in pairs.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from asd.options import check_number, check_whole
from asd.scoring.metrics import ID_METRICS, MACHINE_METRICS
from asd.scoring.roc import check_max_fpr, n_thresholds

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
Key = tuple[str, str, str]  # metric; machine type or "mean"; machine ID or "" for all
MEAN = "mean"


@dataclass(frozen=True)
class Resampling:
    """How to resample.

    Args:
        resamples: how many; the intervals' ends jitter less with more.
        confidence: of the intervals.
        seed: of the draws.
    """

    resamples: int = 1000
    confidence: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        check_whole("resamples", self.resamples, 1)
        check_number("confidence", self.confidence, 0.01, 0.9999)

    def interval(self, values: Floats) -> tuple[float, float]:
        """The percentile interval of replicates [resamples]; NaN where they are not defined."""
        if np.isnan(values).any():
            return float("nan"), float("nan")
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(values, [tail, 1 - tail])
        return float(low), float(high)

    def counts(self, name: str, clips: int) -> npt.NDArray[np.int16]:
        """[resamples, clips] how often each clip of a stratum is drawn."""
        rng = np.random.default_rng([self.seed, zlib.crc32(name.encode()), clips])
        drawn = rng.integers(0, clips, (self.resamples, clips))
        drawn += clips * np.arange(self.resamples)[:, None]
        flat = np.bincount(drawn.ravel(), minlength=self.resamples * clips)
        return flat.reshape(self.resamples, clips).astype(np.int16)

    def seeds(self, name: str, seeds: int) -> Floats:
        """[resamples, seeds] weights of the trainings of one system; each row adds up to 1.

        Drawn with replacement and stretched by sqrt(n / (n - 1)), so that the variance of the
        mean is right with few of them (Rao and Wu, JASA 83, 1988). One training has weight 1.
        """
        if seeds == 1:
            return np.ones((self.resamples, 1))
        share = self.counts(f"trainings of {name}", seeds) / seeds
        return np.asarray(1 / seeds + np.sqrt(seeds / (seeds - 1)) * (share - 1 / seeds))


def replicates(frame: pd.DataFrame, max_fpr: float, resampling: Resampling) -> dict[Key, Floats]:
    """Resample the clips of a scores frame and compute every figure on each resample.

    Args:
        frame: of ``asd.scoring.clip_scores``; clips of unknown label are left out.
        max_fpr: p of the partial AUC.
        resampling: how often, and the seed.

    Returns:
        key -> [resamples]. What is undefined in the frame is NaN throughout, and left out of means.

    Raises:
        AsdError: max_fpr is out of range.
    """
    check_max_fpr(max_fpr)
    known = frame[frame["label"] >= 0].sort_values(["machine", "id", "file"])
    result: dict[Key, Floats] = {}
    for machine, clips in known.groupby("machine", sort=True):
        result |= _machine(str(machine), clips, max_fpr, resampling)
    for metric in MACHINE_METRICS:
        by_type = [v for (name, _, one), v in result.items() if name == metric and not one]
        result[metric, MEAN, ""] = mean_defined(by_type, resampling.resamples)
    return result


def _machine(
    machine: str, clips: pd.DataFrame, max_fpr: float, resampling: Resampling
) -> dict[Key, Floats]:
    result: dict[Key, Floats] = {}
    weights, by_id = [], []
    for machine_id, own in clips.groupby("id", sort=True):
        labels, scores = own["label"].to_numpy(), own["score"].to_numpy(dtype=np.float64)
        drawn = np.empty((resampling.resamples, len(own)), dtype=np.int16)
        for label in (0, 1):
            rows = np.flatnonzero(labels == label)
            if len(rows):
                drawn[:, rows] = resampling.counts(f"{machine} {machine_id} {label}", len(rows))
        weights.append(drawn)
        by_id.append(resampled_figures(labels, scores, drawn, max_fpr))
        result |= {(name, machine, str(machine_id)): v for name, v in by_id[-1].items()}
    labels, scores = clips["label"].to_numpy(), clips["score"].to_numpy(dtype=np.float64)
    pooled = resampled_figures(labels, scores, np.hstack(weights), max_fpr)
    for name in ID_METRICS:
        values = [figures[name] for figures in by_id]
        result[name, machine, ""] = mean_defined(values, resampling.resamples)
        if f"{name}_pooled" in MACHINE_METRICS:
            result[f"{name}_pooled", machine, ""] = pooled[name]
            harmonic = _harmonic(values, resampling.resamples)
            result[f"{name}_harmonic", machine, ""] = harmonic
    return result


def resampled_figures(
    labels: npt.NDArray[np.int64], scores: Floats, weights: npt.NDArray[np.int16], max_fpr: float
) -> dict[str, Floats]:
    """``ID_METRICS`` where clip j counts ``weights[r, j]`` times.

    The definitions are those of ``asd.scoring.metrics``; with all weights 1 the figures are the
    same.

    Args:
        labels: [n], 0 or 1.
        scores: [n].
        weights: [resamples, n], whole numbers; every row holds as many normals and as many
            anomalies as any other.
        max_fpr: p in (0, 1].

    Returns:
        name -> [resamples]; NaN where it is undefined.
    """
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
        return dict.fromkeys(ID_METRICS, undefined)
    twice = (np.diff(fps) * (tps[:, 1:] + tps[:, :-1])).sum(axis=1)
    left, right = fps[:, :-1], fps[:, 1:]
    inside = np.clip(max_fpr * normals - left, 0, right - left)  # of each step, in normals
    slope = np.diff(tps) / np.where(right > left, right - left, 1)
    area = (inside * (tps[:, :-1] + slope * inside / 2)).sum(axis=1) / (normals * anomalies)
    chance = max_fpr**2 / 2
    thresholds = n_thresholds(max_fpr, int(normals))
    hits = (np.diff(np.minimum(fps, thresholds)) * tps[:, :-1]).sum(axis=1)
    return {
        "auc": twice / (2 * normals * anomalies),
        "pauc": 0.5 * (1 + (area - chance) / (max_fpr - chance)),
        "pauc_eq3": hits / (thresholds * anomalies) if thresholds else undefined,
    }


def mean_defined(values: list[Floats], resamples: int) -> Floats:
    """Mean of those replicates that are defined; NaN if none is."""
    defined = [v for v in values if not np.isnan(v).any()]
    return np.mean(defined, axis=0) if defined else np.full(resamples, np.nan)


def _harmonic(values: list[Floats], resamples: int) -> Floats:
    with np.errstate(divide="ignore"):  # one ID of 0 makes it 0
        return 1 / mean_defined([1 / v for v in values], resamples)
