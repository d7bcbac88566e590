"""Pictures are pure functions of their data: the same bytes again, and nothing where nothing is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from asd.pictures.grid_pictures import (
    heat_maps,
    option_curves,
    overview,
    study_picture,
    trade_off,
)
from asd.pictures.score_pictures import curves, distributions, roc
from asd.pictures.spectrograms import KeptClips, triptychs


@pytest.fixture
def scores() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        (machine, machine_id, f"{machine}{machine_id}{label}{i}", label, rng.normal() + label)
        for machine in ("fan", "valve")
        for machine_id in ("00", "02")
        for label in (0, 1)
        for i in range(8)
    ]
    return pd.DataFrame(rows, columns=["machine", "id", "file", "label", "score"])


def test_other_scores_give_another_picture_and_no_labels_no_roc(
    scores: pd.DataFrame, tmp_path: Path
) -> None:
    pictures = [tmp_path / f"{number}.png" for number in range(3)]
    others = (scores, scores, scores.assign(score=-scores["score"]))
    for path, table in zip(pictures, others, strict=True):
        roc(table, 0.1, "SIMULATED", path)
    one, again, other = (path.read_bytes() for path in pictures)
    assert one == again != other
    for unlabelled in (scores.assign(label=-1), scores[scores["label"] == 0]):
        distributions(unlabelled, "x", tmp_path / "scores.png")
        roc(unlabelled, 0.1, "x", tmp_path / "none.png")
    assert (tmp_path / "scores.png").exists() and not (tmp_path / "none.png").exists()


def test_one_model_several_and_none(scores: pd.DataFrame, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        {"epoch": 0.0, "train/loss": 2.0, "val/loss": 3.0, "learning_rate": 0.001},
        {"epoch": 1.0, "train/loss": 1.0, "val/loss": 20.0, "learning_rate": 0.001},
    ]
    some, none = pd.DataFrame(rows), pd.DataFrame()
    curves({"shared": some, "other": none}, "x", tmp_path / "one.png")
    curves({"fan": some, "valve": some}, "$x_&%{$ is no formula", tmp_path / "two.png")
    curves({"shared": none}, "x", tmp_path / "none.png")
    maps = {f"{m}_0": rng.random((30, 16)) for m in ("input", "reconstruction", "error")}
    axes = {"centre_hz": np.geomspace(50, 7000, 16), "hop_seconds": 0.02}
    examples = KeptClips(scores[:1].assign(role="median normal"), {**axes, **maps})
    triptychs(examples, "fan", "x", tmp_path / "clips.png")
    assert {path.stem for path in tmp_path.iterdir()} == {"one", "two", "clips"}


def test_pictures_of_a_grid(tmp_path: Path) -> None:
    columns = ["machine", "system", "mean", "low", "high", "values", "published", "value"]
    none, two = float("nan"), np.array([0.79, 0.81])
    rows = [
        ("fan", "U", 0.8, 0.7, 0.9, two, 0.86, 1.0),
        ("fan", "B", 0.7, none, none, two[:1], none, 0.7),
        ("mean", "U", 0.8, 0.81, 0.9, two, 0.65, 0.5),  # few resamples: need not hold the mean
    ]
    frame = pd.DataFrame(rows, columns=columns)
    overview(frame, "AUC", "x", tmp_path / "o.png")
    option_curves({"AUC": frame}, "alpha", "x", tmp_path / "a.png")
    cells = pd.DataFrame({"a": [0.6, 0.8], "b": [0.7, none]}, index=["1", "2"])  # one is not run
    heat_maps({"AUC": cells}, ("x", "y"), "x", tmp_path / "h.png")
    options = {"rate": [1e-4, 1e-2, 1e-3], "kind": ["a", "b", "a"], "on": [True, False, None]}
    told = {0: {0: 1.0, 1: 0.9}, 3: {0: 2.0}}  # one was pruned
    values = {0: 1.0, 1: 2.0, 4: 0.5}
    of_study = (values, options, {"rate": 1.0}, told, "loss", True, "x")
    study_picture(*of_study, tmp_path / "s.png")
    places = {"a": (1.0, 0.6, True), "b": (2.0, 0.5, False), "c": (3.0, 0.9, True)}
    trade_off(places, ("s", "AUC"), "x", tmp_path / "t.png")
    assert {path.stem for path in tmp_path.iterdir()} == {*"oahst"}


def test_nothing_slow_is_imported_and_no_window_is_opened() -> None:
    code = (
        "import sys, asd.report, asd.reporting.figures, asd.pictures.run_pictures as r;"
        "import asd.pictures.grid_pictures, asd.pictures.spectrograms;"
        "slow = {'torch', 'matplotlib', 'mlflow', 'sklearn', 'pytorch_lightning'};"
        "print(sorted(slow & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
