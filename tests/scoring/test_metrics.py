from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from asd.scoring.metrics import Metrics, evaluate_scores, flat_metrics


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


MACHINES = ["ToyCar", "fan", "valve", "zebra"]


@pytest.fixture(scope="module")
def sound() -> tuple[pd.DataFrame, Metrics]:
    sizes = {("zebra", "00"): (40, 20, 0), ("valve", "06"): (50, 20, 0), ("fan", "02"): (30, 60, 3)}
    sizes |= {
        ("fan", "00"): (99, 50, 0),
        ("ToyCar", "01"): (30, 60, 0),
        ("ToyCar", "02"): (30, 9, 0),
    }
    frame = corpus(sizes)
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
    assert list(metrics.per_machine["machine"]) == MACHINES
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


def test_flat_names_and_clips_of_unknown_label_change_no_figure(
    sound: tuple[pd.DataFrame, Metrics],
) -> None:
    frame, metrics = sound
    flat = flat_metrics(metrics)
    assert flat_metrics(evaluate_scores(frame[frame["label"] >= 0], 0.1)) == flat
    ids = ["ToyCar/id_01", "ToyCar/id_02", "fan/id_00", "fan/id_02", "valve/id_06", "zebra/id_00"]
    both = ["auc", "pauc"]
    names = [*both, "pauc_eq3", *(f"{b}_{k}" for k in ("pooled", "harmonic") for b in both)]
    assert set(flat) == {
        *(f"{name}/{m}" for name in names for m in ["mean", *MACHINES]),
        *(f"id_{name}/{i}" for name in ["auc", "pauc", "pauc_eq3"] for i in ids),
    }
    assert next(iter(flat)) == "auc/mean"
    assert all(type(v) is float for v in flat.values())


def test_undefined_figures_are_named_and_never_counted() -> None:
    sizes = {("fan", "00"): (40, 40, 0), ("fan", "02"): (40, 0, 2), ("pump", "00"): (5, 20, 0)}
    sizes |= {("valve", "00"): (0, 20, 0), ("slider", "01"): (0, 0, 7)}
    metrics = evaluate_scores(corpus(sizes), 0.1)
    assert list(metrics.undefined) == [
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
    nothing = evaluate_scores(corpus({("fan", "00"): (5, 0, 0)}), 0.1)
    assert flat_metrics(nothing) == {}
    assert nothing.undefined[-1].startswith("mean: no machine type with a defined auc, pauc")


def test_harmonic_mean_is_zero_if_an_id_is_zero() -> None:
    frame = corpus({("fan", "00"): (10, 10, 0), ("fan", "02"): (10, 10, 0)})
    upside_down = frame["id"] == "02"
    frame.loc[upside_down, "score"] = -frame["label"][upside_down].astype(float)
    flat = flat_metrics(evaluate_scores(frame, 0.1))
    assert flat["id_auc/fan/id_02"] == 0
    assert flat["auc_harmonic/fan"] == 0
    assert flat["auc/fan"] > 0
