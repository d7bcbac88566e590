"""Bootstrap over clips: how far a figure would move had other clips been recorded.

Within each machine ID the normals are drawn with replacement among the normals, the anomalies among
the anomalies, as many as there are: the stratified bootstrap (Efron and Tibshirani, An Introduction
to the Bootstrap, 1993, chapter 8). The draw of a machine ID follows from the seed, its name and its
clip counts alone, so two runs on the same clips are resampled jointly and may be compared in pairs.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from asd.errors import AsdError
from asd.scoring.metrics import MACHINE_METRICS
from asd.scoring.roc import check_max_fpr, n_thresholds

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
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
        if self.resamples < 1:
            raise AsdError(f"resamples={self.resamples}: must be at least 1")
        if not 0 < self.confidence < 1:
            raise AsdError(f"confidence={self.confidence}: must be between 0 and 1")

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


@dataclass(frozen=True)
class Replicates:
    """Resampled figures of one scores frame.

    ``machines``: metric -> machine type, or "mean" -> [resamples]; ``ids``: metric -> (machine,
    ID) -> [resamples]. What is undefined in the frame is NaN throughout, and left out of means.
    """

    machines: dict[str, dict[str, Floats]] = field(default_factory=dict)
    ids: dict[str, dict[tuple[str, str], Floats]] = field(default_factory=dict)


def replicates(
    frame: pd.DataFrame, max_fpr: float, resampling: Resampling, metrics: tuple[str, ...]
) -> Replicates:
    """Resample the clips of a scores frame and compute its figures on each resample.

    Args:
        frame: of ``asd.scoring.clip_scores``; clips of unknown label are left out.
        max_fpr: p of the partial AUC.
        resampling: how often, and the seed.
        metrics: of ``MACHINE_METRICS``.

    Raises:
        AsdError: max_fpr is out of range, or a metric is not one of ours.
    """
    check_max_fpr(max_fpr)
    unknown = set(metrics) - set(MACHINE_METRICS)
    if unknown:
        raise AsdError(f"{sorted(unknown)[0]}: must be one of {', '.join(MACHINE_METRICS)}")
    known = frame[frame["label"] >= 0].sort_values(["machine", "id", "file"])
    result = Replicates({m: {} for m in metrics}, {m: {} for m in metrics})
    for machine, clips in known.groupby("machine", sort=True):
        _machine(str(machine), clips, max_fpr, resampling, result)
    for values in result.machines.values():
        values[MEAN] = mean_defined(list(values.values()), resampling.resamples)
    return result


def _machine(
    machine: str, clips: pd.DataFrame, max_fpr: float, resampling: Resampling, result: Replicates
) -> None:
    metrics = tuple(result.machines)
    basic = tuple(dict.fromkeys(m.removesuffix("_harmonic") for m in metrics if "pooled" not in m))
    pooled = tuple(m.removesuffix("_pooled") for m in metrics if "pooled" in m)
    per_id: dict[str, list[Floats]] = {name: [] for name in basic}
    weights = []
    for machine_id, own in clips.groupby("id", sort=True):
        labels, scores = own["label"].to_numpy(), own["score"].to_numpy(dtype=np.float64)
        drawn = np.empty((resampling.resamples, len(own)), dtype=np.int16)
        for label in (0, 1):
            rows = np.flatnonzero(labels == label)
            if len(rows):
                stratum = f"{machine} {machine_id} {label}"
                drawn[:, rows] = resampling.counts(stratum, len(rows))
        weights.append(drawn)
        figures = resampled_figures(labels, scores, drawn, max_fpr, basic)
        for name in basic:
            per_id[name].append(figures[name])
            if name in result.ids:
                result.ids[name][machine, str(machine_id)] = figures[name]
    if pooled:
        clips = clips.sort_values(["id", "file"])
        labels, scores = clips["label"].to_numpy(), clips["score"].to_numpy(dtype=np.float64)
        figures = resampled_figures(labels, scores, np.hstack(weights), max_fpr, pooled)
    for name in metrics:
        if name.endswith("_pooled"):
            result.machines[name][machine] = figures[name.removesuffix("_pooled")]
        elif name.endswith("_harmonic"):
            values = per_id[name.removesuffix("_harmonic")]
            result.machines[name][machine] = _harmonic(values, resampling.resamples)
        else:
            result.machines[name][machine] = mean_defined(per_id[name], resampling.resamples)


def resampled_figures(
    labels: npt.NDArray[np.int64],
    scores: Floats,
    weights: npt.NDArray[np.int16],
    max_fpr: float,
    names: tuple[str, ...],
) -> dict[str, Floats]:
    """``auc``, ``pauc`` and ``pauc_eq3`` where clip j counts ``weights[r, j]`` times.

    The definitions are those of ``asd.scoring.metrics``; with all weights 1 the figures are the
    same.

    Args:
        labels: [n], 0 or 1.
        scores: [n].
        weights: [resamples, n], whole numbers; every row holds as many normals and as many
            anomalies as any other.
        max_fpr: p in (0, 1].
        names: which of the three.

    Returns:
        name -> [resamples]; NaN where there is no normal or no anomaly.
    """
    resamples = len(weights)
    order = np.argsort(-scores, kind="stable")
    ordered, anomaly = scores[order], labels[order] == 1
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)[: len(ordered)])
    drawn = weights[:, order].astype(np.int32)

    def above(count: npt.NDArray[np.int32]) -> Floats:
        sums = np.zeros((resamples, len(last) + 1))
        sums[:, 1:] = np.cumsum(count, axis=1)[:, last]
        return sums

    tps, fps = above(drawn * anomaly), above(drawn * ~anomaly)
    normals, anomalies = float(fps[0, -1]), float(tps[0, -1])
    if not normals or not anomalies:
        return {name: np.full(resamples, np.nan) for name in names}
    result = {}
    if "auc" in names:
        twice = (np.diff(fps) * (tps[:, 1:] + tps[:, :-1])).sum(axis=1)
        result["auc"] = twice / (2 * normals * anomalies)
    if "pauc" in names:
        left, right = fps[:, :-1], fps[:, 1:]
        inside = np.clip(max_fpr * normals - left, 0, right - left)  # of each step, in normals
        slope = np.diff(tps) / np.where(right > left, right - left, 1)
        area = (inside * (tps[:, :-1] + slope * inside / 2)).sum(axis=1) / (normals * anomalies)
        chance = max_fpr**2 / 2
        result["pauc"] = 0.5 * (1 + (area - chance) / (max_fpr - chance))
    if "pauc_eq3" in names:
        thresholds = n_thresholds(max_fpr, int(normals))
        used = np.diff(np.minimum(fps, thresholds))
        hits = (used * tps[:, :-1]).sum(axis=1)
        enough = thresholds > 0
        result["pauc_eq3"] = (
            hits / (thresholds * anomalies) if enough else np.full(resamples, np.nan)
        )
    return result


def mean_defined(values: list[Floats], resamples: int) -> Floats:
    """Mean of those replicates that are defined; NaN if none is."""
    defined = [v for v in values if not np.isnan(v).any()]
    return np.mean(defined, axis=0) if defined else np.full(resamples, np.nan)


def _harmonic(values: list[Floats], resamples: int) -> Floats:
    defined = [v for v in values if not np.isnan(v).any()]
    if not defined:
        return np.full(resamples, np.nan)
    with np.errstate(divide="ignore"):
        return np.asarray(len(defined) / np.sum([1 / v for v in defined], axis=0))
