"""Areas under the ROC curve: the whole, and the part at low false-positive rates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from asd.errors import AsdError

Counts = npt.NDArray[np.int64]


def roc_counts(labels: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[Counts, Counts]:
    """Normals and anomalies at or above each distinct score, from the highest; both begin at 0.

    Args:
        labels: [n], 0 normal or 1 anomaly; others are not counted.
        scores: [n], finite, higher is more anomalous.
    """
    label, score = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    if not np.isfinite(score).all():
        raise AsdError(f"scores[{int(np.argmin(np.isfinite(score)))}] is not a finite number")
    distinct, place = np.unique(-score, return_inverse=True)

    def above(kind: int) -> Counts:
        counts = np.bincount(place[label == kind], minlength=len(distinct))
        return np.append(0, counts.cumsum())

    return above(0), above(1)


def area(fps: Counts, tps: Counts) -> float:
    """Area under the ROC curve of ``roc_counts``; NaN if there is no normal or no anomaly.

    The paper's eq. (2), but a tied pair counts one half, as in scikit-learn's roc_auc_score.
    """
    pairs = int(fps[-1] * tps[-1])
    if not pairs:
        return float("nan")
    return int(np.dot(np.diff(fps), tps[1:] + tps[:-1])) / (2 * pairs)  # exact until the division


def partial_area(fps: Counts, tps: Counts, max_fpr: float) -> float:
    """Area over false-positive rates [0, max_fpr], standardised after McClish; NaN as ``area``.

    Equals ``sklearn.metrics.roc_auc_score(labels, scores, max_fpr=max_fpr)``: the curve is
    interpolated at max_fpr; chance gives 0.5 and a perfect order 1 (Medical Decision Making 9,
    1989). This is what the paper's Table 2 holds.
    """
    pairs = int(fps[-1] * tps[-1])
    if not pairs:
        return float("nan")
    end = max_fpr * fps[-1]  # in normals, so that all but the last trapezoid is whole numbers
    stop = int(np.searchsorted(fps, end, side="right"))
    twice = float(np.dot(np.diff(fps[:stop]), tps[1:stop] + tps[: stop - 1]))
    if stop < len(fps):
        step = end - fps[stop - 1]
        slope = (tps[stop] - tps[stop - 1]) / (fps[stop] - fps[stop - 1])
        twice += step * (2 * tps[stop - 1] + slope * step)
    chance, perfect = 0.5 * max_fpr**2, max_fpr
    return float(0.5 * (1 + (twice / (2 * pairs) - chance) / (perfect - chance)))


def n_thresholds(max_fpr: float, normals: int) -> int:
    """floor(p N-), the thresholds of eq. (3)."""
    # 0.29 * 100 is 28.999... in floating point, and is meant as 29
    return int(np.floor(round(max_fpr * normals, 9)))


def partial_area_eq3(fps: Counts, tps: Counts, max_fpr: float) -> float:
    """Partial AUC as the paper prints it, eq. (3) of section 5.2; NaN if floor(p N-) is 0.

    The thresholds are the floor(p N-) highest-scoring normals; the result is the mean over them
    of the part of the anomalies that score strictly higher. A tie counts 0; chance is about p/2.
    """
    thresholds = n_thresholds(max_fpr, int(fps[-1]))
    if not thresholds or not tps[-1]:
        return float("nan")
    used = np.diff(np.minimum(fps, thresholds))  # thresholds at each distinct score
    return int(np.dot(used, tps[:-1])) / (thresholds * int(tps[-1]))
