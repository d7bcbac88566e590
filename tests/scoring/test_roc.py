from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from asd.errors import AsdError
from asd.scoring.clip_scores import joined
from asd.scoring.metrics import evaluate_scores
from asd.scoring.roc import area, partial_area, partial_area_eq3, roc_counts

TIED = st.integers(-3, 3).map(float)
ANY = st.floats(-1e300, 1e300, allow_nan=False)
CLIPS = st.one_of(
    *(st.lists(st.tuples(st.integers(0, 1), s), min_size=2, max_size=60) for s in (TIED, ANY))
).filter(lambda clips: len({label for label, _ in clips}) == 2)
MAX_FPR = st.one_of(st.sampled_from([0.1, 0.5, 1.0, 0.29]), st.floats(0.01, 1.0))


def auc(labels: Any, scores: Any) -> float:
    return area(*roc_counts(labels, scores))


def pauc(labels: Any, scores: Any, max_fpr: float) -> float:
    return partial_area(*roc_counts(labels, scores), max_fpr)


def pauc_eq3(labels: Any, scores: Any, max_fpr: float) -> float:
    return partial_area_eq3(*roc_counts(labels, scores), max_fpr)


def eq3_by_the_letter(labels: np.ndarray, scores: np.ndarray, thresholds: int) -> float:
    normals = sorted(scores[labels == 0], reverse=True)[:thresholds]
    anomalies = scores[labels == 1]
    wins = sum(1 for n in normals for a in anomalies if a - n > 0)
    return wins / (thresholds * len(anomalies))


def arrays(clips: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([c[0] for c in clips]), np.array([c[1] for c in clips])


@settings(max_examples=300, deadline=None)
@given(CLIPS, MAX_FPR)
def test_areas_are_scikit_learn_s(clips: list[tuple[int, float]], max_fpr: float) -> None:
    labels, scores = arrays(clips)
    assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    expected = roc_auc_score(labels, scores, max_fpr=max_fpr)
    assert pauc(labels, scores, max_fpr) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=200, deadline=None)
@given(CLIPS, st.fractions(0, 1, max_denominator=20).filter(lambda p: p > 0))
def test_pauc_eq3_is_the_printed_equation(clips: list[tuple[int, float]], p: Fraction) -> None:
    labels, scores = arrays(clips)
    thresholds = math.floor(p * int((labels == 0).sum()))  # exact
    got = pauc_eq3(labels, scores, float(p))
    if thresholds == 0:
        assert math.isnan(got)
    else:
        assert got == eq3_by_the_letter(labels, scores, thresholds)


@pytest.mark.parametrize("decimals", [1, 9])
def test_real_sizes_with_and_without_ties(decimals: int) -> None:
    rng = np.random.default_rng(decimals)
    labels = np.r_[np.zeros(350, int), np.ones(265, int)]
    scores = np.round(labels + rng.standard_normal(len(labels)), decimals)
    assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    expected = roc_auc_score(labels, scores, max_fpr=0.1)
    assert pauc(labels, scores, 0.1) == pytest.approx(expected, abs=1e-12)
    assert pauc_eq3(labels, scores, 0.1) == eq3_by_the_letter(labels, scores, 35)


def test_by_hand() -> None:
    # 4 normals, p = 0.5: thresholds 8 and 5. Anomalies above 8: 9. Above 5: 9, 7, 6. 3 anomalies
    # and 2 thresholds: (1 + 3) / 6. The anomaly at 8 would tie with the first and count 0 there.
    labels = [0, 0, 0, 0, 1, 1, 1]
    assert pauc_eq3(labels, [1, 8, 5, 2, 9, 7, 6], 0.5) == 4 / 6
    assert pauc_eq3(labels, [1, 8, 5, 2, 8, 7, 6], 0.5) == 3 / 6
    # AUC of the first by hand: 9 beats 4, 7 and 6 beat 3 each: 10 of 12; the tie is worth half.
    assert auc(labels, [1, 8, 5, 2, 9, 7, 6]) == 10 / 12
    assert auc(labels, [1, 8, 5, 2, 8, 7, 6]) == 9.5 / 12
    # 10 normals, p = 0.1: one threshold, the highest normal; 1 of 2 anomalies is above it.
    labels, scores = [0] * 10 + [1, 1], [*range(10), 20, 5.5]
    assert pauc_eq3(labels, scores, 0.1) == 0.5
    assert pauc(labels, scores, 0.1) == pytest.approx(0.5 * (1 + (0.05 - 0.005) / 0.095))


def test_floating_point_does_not_cost_a_threshold() -> None:
    assert 0.29 * 100 < 29
    labels = [0] * 100 + [1]
    scores = [*range(100), 71.5]  # above normals 0..71: beats the last of 29 thresholds (71) only
    assert pauc_eq3(labels, scores, 0.29) == 1 / 29


@pytest.mark.parametrize("labels", [[0, 0], [1, 1], []])
def test_one_class_is_undefined(labels: list[int]) -> None:
    scores = np.arange(len(labels))
    for value in (auc(labels, scores), pauc(labels, scores, 0.1), pauc_eq3(labels, scores, 0.5)):
        assert math.isnan(value)


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([0, 1, 1], [0.0, math.nan, 1.0], r"scores\[1\] is not a finite number"),
        ([0, 1, 1], [0.0, -math.inf, 1.0], r"scores\[1\] is not a finite number"),
    ],
)
def test_what_has_no_area_is_refused(labels: list[int], scores: list[float], message: str) -> None:
    for metric in (auc, lambda y, s: pauc(y, s, 0.1), lambda y, s: pauc_eq3(y, s, 0.1)):
        with pytest.raises(AsdError, match=message):
            metric(labels, scores)


@pytest.mark.parametrize("bad", [0, -0.1, 1.01, math.nan])
def test_max_fpr_out_of_range_names_the_option(bad: float) -> None:
    with pytest.raises(AsdError, match=r"^scoring\.max_fpr="):
        evaluate_scores(joined([]), bad)
