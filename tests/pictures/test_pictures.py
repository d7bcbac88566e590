"""Pictures are pure functions of their data: the same bytes again, and nothing where nothing is."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA

from asd.errors import AsdError
from asd.pictures.embedding import project, scatter
from asd.pictures.grid_pictures import AlphaPoint, Point, alpha_curves, differences, overview
from asd.pictures.model_files import Embeddings, Example, Examples
from asd.pictures.score_pictures import distributions, roc
from asd.pictures.spectrograms import _ticks, triptychs
from asd.pictures.training_curves import curves


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


def test_the_same_scores_give_the_same_bytes(scores: pd.DataFrame, tmp_path: Path) -> None:
    for draw in (
        lambda p: roc(scores, 0.1, "SIMULATED", p),
        lambda p: distributions(scores, "SIMULATED", p),
    ):
        one, two = draw(tmp_path / "1.png"), draw(tmp_path / "2.png")
        assert one.read_bytes() == two.read_bytes()
    other = roc(scores.assign(score=-scores["score"]), 0.1, "SIMULATED", tmp_path / "3.png")
    assert other is not None
    assert other.read_bytes() != roc(scores, 0.1, "SIMULATED", tmp_path / "1.png").read_bytes()


def test_clips_without_labels_have_scores_but_no_roc(scores: pd.DataFrame, tmp_path: Path) -> None:
    unknown = scores.assign(label=-1)
    assert roc(unknown, 0.1, "x", tmp_path / "roc.png") is None
    assert distributions(unknown, "x", tmp_path / "scores.png") == tmp_path / "scores.png"
    normal = scores[scores["label"] == 0]
    assert roc(normal, 0.1, "x", tmp_path / "roc.png") is None
    assert not (tmp_path / "roc.png").exists()


def test_curves_of_one_model_of_several_and_of_none(tmp_path: Path) -> None:
    losses = [(0, 2.0, 3.0), (1, 1.0, 20.0)]
    names = ("epoch", "train/loss", "val/loss")
    rows = [{**dict(zip(names, row, strict=True)), "learning_rate": 0.001} for row in losses]
    assert curves({"shared": rows, "other": []}, "x", tmp_path / "a.png") == tmp_path / "a.png"
    assert curves({"fan": rows, "valve": rows}, "x", tmp_path / "b.png") == tmp_path / "b.png"
    assert curves({"shared": []}, "x", tmp_path / "c.png") is None


def test_pca_is_scikit_learns_and_tsne_repeats() -> None:
    values = np.random.default_rng(0).standard_normal((20, 6)) * [5, 3, 1, 1, 1, 1]
    points, names = project(values, "pca", 0)
    expected = PCA(2).fit(values)
    np.testing.assert_allclose(np.abs(points), np.abs(expected.transform(values)), atol=1e-9)
    assert names[0] == f"PC 1 ({100 * expected.explained_variance_ratio_[0]:.0f} % of variance)"
    one, _ = project(values, "tsne", 3)
    np.testing.assert_array_equal(one, project(values, "tsne", 3)[0])
    assert project(values[:, :1], "pca", 0)[0].shape == (20, 2)
    with pytest.raises(AsdError, match="projection=umap"):
        project(values, "umap", 0)


def test_one_model_and_several(scores: pd.DataFrame, tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((len(scores), 5)).astype(np.float32)
    whole = Embeddings(values, scores)
    assert scatter({"shared": whole}, "pca", 0, "x", tmp_path / "a.png") == tmp_path / "a.png"
    two = {"fan": whole, "valve": whole, "pump": Embeddings(values[:2], scores[:2])}
    assert scatter(two, "pca", 0, "x", tmp_path / "b.png") == tmp_path / "b.png"
    assert scatter({"pump": two["pump"]}, "pca", 0, "x", tmp_path / "c.png") is None


def test_ticks_stand_where_their_frequency_is() -> None:
    centre = np.geomspace(40, 7800, 64)
    ticks, places = _ticks(centre)
    assert ticks == [8000, 4000, 2000, 1000, 500, 200, 100, 50]
    for hz, place in zip(ticks[1:], places[1:], strict=True):
        assert np.interp(place, np.arange(64), centre) == pytest.approx(hz)
    assert all(a - b >= 0.09 * 64 for a, b in pairwise(places))


def test_triptychs_of_a_machine(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    maps = [rng.standard_normal((30, 16)).astype(np.float32) for _ in range(3)]
    clip = Example("median normal", "fan", "00", "a/normal_id_00.wav", 0, 0.5, *maps)
    examples = Examples(np.geomspace(50, 7000, 16), 0.02, [clip])
    assert triptychs(examples, "fan", "x", tmp_path / "fan.png") == tmp_path / "fan.png"
    assert triptychs(examples, "pump", "x", tmp_path / "pump.png") is None


def test_pictures_of_a_grid(tmp_path: Path) -> None:
    a = Point("U", 0.8, 0.7, 0.9, (0.79, 0.81), 0.86)
    b = Point("B", 0.7, float("nan"), float("nan"))
    made = overview({"fan": [a, b], "mean": [a], "pump": []}, "AUC", "x", tmp_path / "o.png")
    assert made == tmp_path / "o.png"
    assert overview({"fan": []}, "AUC", "x", tmp_path / "n.png") is None
    assert differences([Point("fan", 0.1, 0.05, 0.2)], "x", "A", tmp_path / "d.png").exists()
    points = [AlphaPoint(1.0, a, 0.86), AlphaPoint(0.5, a, 0.73), AlphaPoint(0.3, None, 0.65)]
    drawn = alpha_curves({"AUC": points}, "x", "paper", tmp_path / "a.png")
    assert drawn == tmp_path / "a.png"
    assert alpha_curves({"AUC": points[1:]}, "x", "paper", tmp_path / "e.png") is None


def test_nothing_slow_is_imported_and_no_window_is_opened() -> None:
    code = (
        "import sys, asd.report, asd.reporting.figures, asd.pictures.run_pictures as r;"
        "import asd.pictures.grid_pictures, asd.pictures.spectrograms;"
        "slow = {'torch', 'matplotlib', 'mlflow', 'sklearn', 'pytorch_lightning'};"
        "print(sorted(slow & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
