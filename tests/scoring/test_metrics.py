from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from asd.errors import AsdError
from asd.scoring.metrics import (
    Metrics,
    auc,
    evaluate_scores,
    flat_metrics,
    machine_order,
    pauc,
    pauc_eq3,
)

TIED = st.integers(-3, 3).map(float)
ANY = st.floats(-1e300, 1e300, allow_nan=False)
CLIPS = st.one_of(
    *(st.lists(st.tuples(st.integers(0, 1), s), min_size=2, max_size=60) for s in (TIED, ANY))
).filter(lambda clips: len({label for label, _ in clips}) == 2)
MAX_FPR = st.one_of(st.sampled_from([0.1, 0.5, 1.0, 0.29]), st.floats(0.01, 1.0))


def eq3_by_the_letter(labels: np.ndarray, scores: np.ndarray, thresholds: int) -> float:
    normals = sorted(scores[labels == 0], reverse=True)[:thresholds]
    anomalies = scores[labels == 1]
    wins = sum(1 for n in normals for a in anomalies if a - n > 0)
    return wins / (thresholds * len(anomalies))


def arrays(clips: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([c[0] for c in clips]), np.array([c[1] for c in clips])


@settings(max_examples=200, deadline=None)
@given(CLIPS)
def test_auc_is_scikit_learn_s(clips: list[tuple[int, float]]) -> None:
    labels, scores = arrays(clips)
    assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


@settings(max_examples=300, deadline=None)
@given(CLIPS, MAX_FPR)
def test_pauc_is_scikit_learn_s(clips: list[tuple[int, float]], max_fpr: float) -> None:
    labels, scores = arrays(clips)
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


@pytest.mark.parametrize("seed", range(5))
def test_real_sizes_with_and_without_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.r_[np.zeros(350, int), np.ones(265, int)]
    normal = labels + rng.standard_normal(len(labels))
    for scores in (normal, np.round(normal, 1)):
        assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
        assert pauc(labels, scores, 0.1) == pytest.approx(
            roc_auc_score(labels, scores, max_fpr=0.1), abs=1e-12
        )
        assert pauc_eq3(labels, scores, 0.1) == pytest.approx(
            eq3_by_the_letter(labels, scores, 35), abs=1e-12
        )


def test_eq3_by_hand() -> None:
    # 4 normals, p = 0.5: thresholds 8 and 5. Anomalies above 8: 9. Above 5: 9, 7, 6. 3 anomalies
    # and 2 thresholds: (1 + 3) / 6. The anomaly at 8 would tie with the first and count 0 there.
    assert pauc_eq3([0, 0, 0, 0, 1, 1, 1], [1, 8, 5, 2, 9, 7, 6], 0.5) == 4 / 6
    assert pauc_eq3([0, 0, 0, 0, 1, 1, 1], [1, 8, 5, 2, 8, 7, 6], 0.5) == 3 / 6
    # AUC of the first by hand: 9 beats 4, 7 and 6 beat 3 each: 10 of 12; the tie is worth half.
    assert auc([0, 0, 0, 0, 1, 1, 1], [1, 8, 5, 2, 9, 7, 6]) == 10 / 12
    assert auc([0, 0, 0, 0, 1, 1, 1], [1, 8, 5, 2, 8, 7, 6]) == 9.5 / 12


@pytest.mark.parametrize("normals", [10, 100, 350, 800])
def test_eq3_and_mcclish_are_one_line_apart(normals: int) -> None:
    # p N- an integer, no ties: pauc = (1 + (eq3 - p / 2) / (1 - p / 2)) / 2, with p = 0.1
    rng = np.random.default_rng(normals)
    labels = np.r_[np.zeros(normals, int), np.ones(77, int)]
    scores = rng.permutation(normals + 77) + 0.3 * normals * labels + 0.01 * labels
    assert len(set(scores)) == len(scores)
    expected = (1 + (pauc_eq3(labels, scores, 0.1) - 0.05) / 0.95) / 2
    assert pauc(labels, scores, 0.1) == pytest.approx(expected, abs=1e-12)


def test_pauc_by_hand() -> None:
    # 10 normals, p = 0.1: one threshold, the highest normal; 1 of 2 anomalies is above it.
    labels, scores = [0] * 10 + [1, 1], [*range(10), 20, 5.5]
    assert pauc_eq3(labels, scores, 0.1) == 0.5
    assert pauc(labels, scores, 0.1) == pytest.approx(0.5 * (1 + (0.05 - 0.005) / 0.095))


def test_scale_and_offset_change_nothing() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 500)
    scores = rng.gamma(2, 3, 500) + labels
    moved = 1000 * scores + 50
    assert auc(labels, scores) == auc(labels, moved)
    assert pauc(labels, scores, 0.1) == pauc(labels, moved, 0.1)
    assert pauc_eq3(labels, scores, 0.1) == pauc_eq3(labels, moved, 0.1)
    assert auc(labels, -scores) == pytest.approx(1 - auc(labels, scores), abs=1e-12)


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


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_refused(bad: float) -> None:
    for metric in (auc, lambda y, s: pauc(y, s, 0.1), lambda y, s: pauc_eq3(y, s, 0.1)):
        with pytest.raises(AsdError, match=r"scores\[1\] is not a finite number"):
            metric([0, 1, 1], [0.0, bad, 1.0])


def test_labels_and_lengths_are_checked() -> None:
    with pytest.raises(AsdError, match="must be 0"):
        auc([0, 1, -1], [1, 2, 3])
    with pytest.raises(AsdError, match="one length"):
        auc([0, 1], [1, 2, 3])


@pytest.mark.parametrize("bad", [0, -0.1, 1.01, math.nan])
def test_max_fpr_out_of_range_names_the_option(bad: float) -> None:
    for call in (
        lambda: pauc([0, 1], [1, 2], bad),
        lambda: pauc_eq3([0, 1], [1, 2], bad),
        lambda: evaluate_scores(corpus({("fan", "00"): (9, 9, 0)}), bad),
    ):
        with pytest.raises(AsdError, match=r"^scoring\.max_fpr="):
            call()


def corpus(sizes: dict[tuple[str, str], tuple[int, int, int]], seed: int = 0) -> pd.DataFrame:
    """Random scores: (machine, id) -> clips normal, anomaly, unknown."""
    rng = np.random.default_rng(seed)
    rows = []
    for (machine, machine_id), counts in sizes.items():
        for label, count in zip((0, 1, -1), counts, strict=True):
            for i in range(count):
                file = f"{machine}/test/{label}_id_{machine_id}_{i:04d}.wav"
                rows.append((machine, machine_id, file, label, rng.normal(label + rng.normal())))
    frame = pd.DataFrame(rows, columns=["machine", "id", "file", "label", "score"])
    return frame.sample(frac=1, random_state=seed).reset_index(drop=True)


@pytest.fixture(scope="module")
def sound() -> tuple[pd.DataFrame, Metrics]:
    frame = corpus(
        {
            ("zebra", "00"): (40, 20, 0),
            ("valve", "06"): (50, 20, 0),
            ("fan", "02"): (30, 60, 3),
            ("fan", "00"): (100, 50, 0),
            ("ToyCar", "01"): (30, 60, 0),
            ("ToyCar", "02"): (30, 10, 0),
        }
    )
    return frame, evaluate_scores(frame, 0.1)


def test_per_id_means_and_pooling_against_scikit_learn(
    sound: tuple[pd.DataFrame, Metrics],
) -> None:
    frame, metrics = sound
    known = frame[frame["label"] >= 0]
    options = {"auc": None, "pauc": 0.1}
    for row in metrics.per_id.to_dict("records"):
        clips = known[(known["machine"] == row["machine"]) & (known["id"] == row["id"])]
        for name, p in options.items():
            expected = roc_auc_score(clips["label"], clips["score"], max_fpr=p)
            assert row[name] == pytest.approx(expected, abs=1e-12)
        assert row["n_normal"] == (clips["label"] == 0).sum()
        assert row["n_anomaly"] == (clips["label"] == 1).sum()
    assert list(metrics.per_machine["machine"]) == ["ToyCar", "fan", "valve", "zebra"]
    for row in metrics.per_machine.to_dict("records"):
        clips = known[known["machine"] == row["machine"]]
        ids = metrics.per_id[metrics.per_id["machine"] == row["machine"]]
        for name, p in options.items():
            expected = roc_auc_score(clips["label"], clips["score"], max_fpr=p)
            assert row[f"{name}_pooled"] == pytest.approx(expected, abs=1e-12)
            assert row[name] == pytest.approx(ids[name].mean(), abs=1e-12)
            harmonic = 1 / np.mean(1 / ids[name])
            assert row[f"{name}_harmonic"] == pytest.approx(harmonic, abs=1e-12)
        assert row["pauc_eq3"] == pytest.approx(ids["pauc_eq3"].mean(), abs=1e-12)
        assert row["n_ids"] == len(ids)
    for name, value in metrics.mean.items():
        assert value == pytest.approx(metrics.per_machine[name].mean(), abs=1e-12)
    assert metrics.undefined == ()
    assert metrics.per_id["n_unknown"].sum() == 3


def test_clips_of_unknown_label_change_no_figure(sound: tuple[pd.DataFrame, Metrics]) -> None:
    frame, metrics = sound
    without = evaluate_scores(frame[frame["label"] >= 0], 0.1)
    assert flat_metrics(without) == flat_metrics(metrics)


def test_flat_names(sound: tuple[pd.DataFrame, Metrics]) -> None:
    flat = flat_metrics(sound[1])
    machines = ["ToyCar", "fan", "valve", "zebra"]
    ids = ["ToyCar/id_01", "ToyCar/id_02", "fan/id_00", "fan/id_02", "valve/id_06", "zebra/id_00"]
    both = ["auc", "pauc"]
    names = [*both, "pauc_eq3", *(f"{b}_{k}" for k in ("pooled", "harmonic") for b in both)]
    assert set(flat) == {
        *(f"{name}/{m}" for name in names for m in ["mean", *machines]),
        *(f"id_{name}/{i}" for name in ["auc", "pauc", "pauc_eq3"] for i in ids),
    }
    assert next(iter(flat)) == "auc/mean"
    assert all(type(v) is float for v in flat.values())


def test_undefined_figures_are_named_and_never_counted() -> None:
    frame = corpus(
        {
            ("fan", "00"): (40, 40, 0),
            ("fan", "02"): (40, 0, 2),
            ("pump", "00"): (5, 20, 0),
            ("valve", "00"): (0, 20, 0),
            ("slider", "01"): (0, 0, 7),
        }
    )
    metrics = evaluate_scores(frame, 0.1)
    assert [str(u) for u in metrics.undefined] == [
        "fan id_02: no anomaly clip",
        "pump id_00: pAUC eq. (3): no threshold, floor(0.1 x 5 normal clips) is 0",
        "pump: no machine ID with a defined pauc_eq3",
        "slider id_01: no labelled clip (7 of unknown label)",
        "slider pooled: no labelled clip (7 of unknown label)",
        "slider: no machine ID with a defined auc, pauc, pauc_eq3, auc_harmonic, pauc_harmonic",
        "valve id_00: no normal clip",
        "valve pooled: no normal clip",
        "valve: no machine ID with a defined auc, pauc, pauc_eq3, auc_harmonic, pauc_harmonic",
    ]
    flat = flat_metrics(metrics)
    assert flat["auc/fan"] == flat["id_auc/fan/id_00"] == flat["auc_harmonic/fan"]
    assert flat["auc/mean"] == pytest.approx((flat["auc/fan"] + flat["auc/pump"]) / 2, abs=1e-15)
    assert flat["pauc_eq3/mean"] == flat["pauc_eq3/fan"]
    for absent in ("auc/valve", "auc_pooled/slider", "pauc_eq3/pump", "id_auc/fan/id_02"):
        assert absent not in flat
    assert not any(math.isnan(v) for v in flat.values())


def test_no_defined_figure_at_all_is_reported() -> None:
    metrics = evaluate_scores(corpus({("fan", "00"): (5, 0, 0)}), 0.1)
    assert flat_metrics(metrics) == {}
    assert str(metrics.undefined[-1]).startswith("mean: no machine type with a defined auc, pauc")


def test_harmonic_mean_is_zero_if_an_id_is_zero() -> None:
    frame = corpus({("fan", "00"): (10, 10, 0), ("fan", "02"): (10, 10, 0)})
    upside_down = frame["id"] == "02"
    frame.loc[upside_down, "score"] = -frame["label"][upside_down].astype(float)
    flat = flat_metrics(evaluate_scores(frame, 0.1))
    assert flat["id_auc/fan/id_02"] == 0
    assert flat["auc_harmonic/fan"] == 0
    assert flat["auc/fan"] > 0


def test_evaluate_names_the_clip_of_a_nan_score() -> None:
    frame = corpus({("fan", "00"): (3, 3, 0)})
    frame.loc[2, "score"] = math.nan
    with pytest.raises(AsdError, match=frame["file"][2]):
        evaluate_scores(frame, 0.1)


def test_a_machine_named_mean_cannot_hide_the_headline() -> None:
    with pytest.raises(AsdError, match="'mean'"):
        flat_metrics(evaluate_scores(corpus({("mean", "00"): (3, 3, 0)}), 0.5))


def test_machine_order_is_the_paper_s() -> None:
    given_names = ["valve", "bearing", "ToyCar", "slider", "fan", "ToyTrain", "pump", "ToyConveyor"]
    assert machine_order(given_names) == [
        *["ToyCar", "ToyConveyor", "fan", "pump", "slider", "valve"],
        *["ToyTrain", "bearing"],
    ]
