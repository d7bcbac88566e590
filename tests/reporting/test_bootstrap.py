"""The bootstrap against scikit-learn and scipy's; intervals against scipy's tests and equals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from asd.reporting.bootstrap import (
    COMPARED,
    Resampling,
    Sample,
    estimate,
    holm,
    replicates,
    resampled_figures,
)
from asd.scoring.metrics import evaluate_scores, flat_metrics
from benchmarks.error_rates import error_rate

Scores = Callable[..., pd.DataFrame]
HOW = Resampling(4000, 0.9)
A, B = np.array([0.81, 0.78, 0.84, 0.80]), np.array([0.74, 0.79, 0.71])


def _drawn(seed: int, resamples: int, labels: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(seed)
    strata = [np.flatnonzero(labels == label) for label in (0, 1)]
    return np.array(
        [
            sum(np.bincount(rng.choice(s, len(s)), minlength=len(labels)) for s in strata)
            for _ in range(resamples)
        ]
    )


@pytest.mark.parametrize("decimals", [8, 1, 0])
@pytest.mark.parametrize("max_fpr", [0.1, 0.25, 1.0])
def test_every_resample_is_what_scikit_learn_gives_for_it(max_fpr: float, decimals: int) -> None:
    rng = np.random.default_rng(3)
    labels = np.array([0] * 23 + [1] * 17)
    scores = np.round(rng.standard_normal(40) + 0.7 * labels, decimals)  # 0: many ties
    weights = _drawn(1, 30, labels)
    got = resampled_figures(pd.DataFrame({"label": labels, "score": scores}), weights, max_fpr)
    for r, counts in enumerate(weights):
        again, values = np.repeat(labels, counts), np.repeat(scores, counts)
        assert got["auc"][r] == pytest.approx(roc_auc_score(again, values), abs=1e-12)
        expected = roc_auc_score(again, values, max_fpr=max_fpr)
        assert got["pauc"][r] == pytest.approx(expected, abs=1e-12)


def test_interval_agrees_with_scipys_stratified_bootstrap(scores: Scores) -> None:
    frame = scores(0, 0.8, machines=("fan",), ids=("00",), normal=40, anomaly=30)
    normal = frame.loc[frame["label"] == 0, "score"].to_numpy()
    anomaly = frame.loc[frame["label"] == 1, "score"].to_numpy()

    def area(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
        above = y[..., None, :] > x[..., :, None]
        return above.mean(axis=(-1, -2))

    theirs = stats.bootstrap(
        (normal, anomaly), area, n_resamples=4000, method="percentile", vectorized=True,
        rng=np.random.default_rng(0), batch=500,
    )  # fmt: skip
    how = Resampling(resamples=4000)
    moved = replicates(frame, 0.1, how)["auc/fan"]
    low, high = np.quantile(moved, [0.025, 0.975])
    # Of 4000 resamples the ends of a 95 % interval have standard errors near 0.002.
    assert low == pytest.approx(theirs.confidence_interval.low, abs=0.008)
    assert high == pytest.approx(theirs.confidence_interval.high, abs=0.008)
    assert moved.std(ddof=1) == pytest.approx(float(theirs.standard_error), rel=0.06)


def test_all_metrics_are_resampled_as_the_table_defines_them(scores: Scores) -> None:
    """With one clip a stratum every resample is the data, so every figure is the table's."""
    frame = scores(0, 0.4, normal=1, anomaly=1, ids=("00", "02", "04"))
    how = Resampling(resamples=3)
    got = replicates(frame, 0.3, how)
    flat = flat_metrics(evaluate_scores(frame, 0.3))
    compared = (*COMPARED, *(f"id_{metric}" for metric in COMPARED))
    known = {name: v for name, v in flat.items() if name.split("/")[0] in compared}
    assert set(known) == set(got)
    for name, value in known.items():
        np.testing.assert_allclose(got[name], np.full(3, value), atol=1e-12)


def test_draws_do_not_depend_on_other_ids_or_the_order_of_rows(scores: Scores) -> None:
    how = Resampling(resamples=50)
    frame = scores(0)
    whole = replicates(frame, 0.1, how)["auc/pump"]
    alone = frame[frame["machine"] == "pump"].sample(frac=1, random_state=1)
    np.testing.assert_array_equal(whole, replicates(alone, 0.1, how)["auc/pump"])


def test_an_undefined_id_is_left_out_of_the_mean_and_an_unknown_label_of_all(
    scores: Scores,
) -> None:
    frame = scores(0, machines=("fan",))
    without = frame[(frame["id"] != "02") | (frame["label"] == 0)].copy()
    unknown = frame[frame["id"] == "02"].assign(label=-1, id="06")
    unknown["file"] += "x"
    got = replicates(pd.concat([without, unknown]), 0.1, Resampling(20))
    assert np.isnan(got["id_auc/fan/id_02"]).all()
    assert "id_auc/fan/id_06" not in got
    np.testing.assert_array_equal(got["auc/fan"], got["id_auc/fan/id_00"])


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
