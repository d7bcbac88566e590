from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from asd.data.manifest import COLUMNS, Manifest
from asd.data.windows import Windows
from asd.errors import AsdError
from asd.features import Features
from asd.models.detector import Detector
from asd.models.standardiser import Standardiser
from asd.scoring.score import score_clips

BANDS, LENGTH = 3, 4
MODEL = {
    "_target_": "asd.models.dense_autoencoder.DenseAutoencoder",
    "hidden": 5,
    "layers": 1,
    "embedding": 2,
    "norm_eps": 1e-3,
    "norm_momentum": 0.1,
    "initialisation": "glorot_uniform",
}
FRAMES = np.array([4, 6])
VALUES = np.random.default_rng(3).normal(-50, 9, (10, BANDS)).astype(np.float32)


def score(kind: str, loss: dict[str, Any], classes: list[int]) -> pd.DataFrame:
    recipe = {"bands": BANDS, "frames": LENGTH, "classes": ["fan", "pump"], "model": MODEL,
              "loss": loss, "trainer": {}}  # fmt: skip
    standardiser = Standardiser(np.array([-50.0, -49, -51]), np.array([9.0, 3, 1]))
    table = pd.DataFrame(
        {"machine": ["fan", "pump"], "id": "00", "path": ["a.wav", "b.wav"], "label": [0, 1]},
        columns=COLUMNS,
    )
    index = Windows(None, LENGTH, "all").starts(LENGTH, FRAMES, ["a.wav", "b.wav"])
    return score_clips(
        Detector(recipe, standardiser).eval(),
        Manifest(Path(), table),
        Features(VALUES, FRAMES),
        index,
        np.array(classes),
        kind,
        8,
    ).table


MSE = {"_target_": "asd.models.loss.ReconstructionLoss"}
SS = {"_target_": "asd.models.loss.SemiSupervisedLoss", "alpha": 0.5, "beta": 0.5}


def test_decibels_weigh_each_band_by_its_variance() -> None:
    import torch

    from asd.features.batches import Batch

    recipe = {"bands": BANDS, "frames": LENGTH, "classes": [], "model": MODEL, "loss": MSE,
              "trainer": {}}  # fmt: skip
    std = np.array([9.0, 3, 1])
    detector = Detector(recipe, Standardiser(np.zeros(BANDS), std)).eval()
    window = torch.from_numpy(VALUES[:LENGTH])[None]
    with torch.no_grad():
        reconstruction, _ = detector(window)
        batch = Batch(window, torch.zeros(1, dtype=torch.long))
        ours = detector.errors(batch, decibels=True).mse
    difference = reconstruction[0].numpy() * std - VALUES[:LENGTH]
    assert float(ours) == pytest.approx(np.square(difference).mean(), rel=1e-5)


def test_columns_say_which_error_it_is() -> None:
    assert list(score("mse", MSE, [0, 1]).columns) == [
        "machine", "id", "file", "label", "score", "mse",
    ]  # fmt: skip
    assert "mse_db" in score("mse_db", MSE, [0, 1])
    assert "cce" in score("mse", SS, [0, 1])


def test_a_class_that_was_not_trained_has_no_cce() -> None:
    table = score("mse", SS, [0, -1])
    assert np.isfinite(table["cce"][0])
    assert np.isnan(table["cce"][1])
    with pytest.raises(AsdError, match=r"b\.wav.*not trained on"):
        score("combined", SS, [0, -1])


def test_a_score_that_is_not_finite_is_never_written() -> None:
    bad = VALUES.copy()
    try:
        VALUES[5] = np.inf
        with pytest.raises(AsdError, match=r"b\.wav: its score is not a finite number"):
            score("mse", MSE, [0, 1])
    finally:
        VALUES[:] = bad
