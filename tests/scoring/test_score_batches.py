from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from asd.data.manifest import COLUMNS, Manifest
from asd.data.windows import Windows
from asd.features import Features
from asd.models.detector import Detector
from asd.scoring.score import score_clips

BANDS, LENGTH = 4, 5
RECIPE = {
    "bands": BANDS,
    "frames": LENGTH,
    "classes": ["fan", "pump"],
    "model": {
        "_target_": "asd.models.dense_autoencoder.DenseAutoencoder",
        "hidden": 6,
        "layers": 1,
        "embedding": 3,
        "norm_eps": 1e-3,
        "norm_momentum": 0.1,
        "initialisation": "glorot_uniform",
    },
    "loss": {
        "_target_": "asd.models.loss.SemiSupervisedLoss",
        "alpha": 0.7,
        "beta": 0.3,
    },
    "trainer": {},
}


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("batch_frames", [1, 11, 500])
def test_scores_are_means_over_a_clips_windows_whatever_the_batch(
    batch_frames: int, workers: int
) -> None:
    torch.manual_seed(0)
    detector = Detector(RECIPE).eval()
    frames = np.array([9, 5, 12])
    values = np.random.default_rng(0).standard_normal((26, BANDS), dtype=np.float32)
    table = pd.DataFrame(
        {"machine": ["fan", "pump", "fan"], "id": "00", "path": list("abc"), "label": 0},
        columns=COLUMNS,
    ).reindex(columns=COLUMNS)
    index = Windows(None, LENGTH, "every").starts(LENGTH, frames, list("abc"))
    classes = np.array([0, 1, 0])
    scores, embeddings = score_clips(
        detector,
        Manifest(Path(), table),
        Features(values, frames),
        index,
        classes,
        "combined",
        batch_frames,
        workers,
    )
    assert embeddings.shape == (len(index.starts), 3)
    # clip by clip and window by window, with the network itself
    for clip, (start, count) in enumerate(zip([0, 9, 14], frames, strict=True)):
        mse, cce = [], []
        for at in range(start, start + count - LENGTH + 1):
            window = torch.from_numpy(values[at : at + LENGTH])[None]
            with torch.no_grad():
                reconstruction, embedding = detector(window)
                logits = detector.classifier(embedding)[0].double()
            mse.append(float((reconstruction - window).square().mean()))
            cce.append(float(-logits.log_softmax(0)[classes[clip]]))
        assert scores["mse"][clip] == pytest.approx(np.mean(mse), rel=1e-5)
        assert scores["cce"][clip] == pytest.approx(np.mean(cce), rel=1e-5)
        expected = 0.7 * np.mean(mse) + 0.3 * np.mean(cce)
        assert scores["score"][clip] == pytest.approx(expected, rel=1e-5)
