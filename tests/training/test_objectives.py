"""Training on objectives that reconstruct nothing: resumed as uninterrupted, and mixed as meant."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from parts import CONV
from tiny import BANDS, FRAMES, data, largest_difference, options

from asd.data.windows import Index
from asd.experiment.history import read_history
from asd.features.batches import Batch
from asd.models.detector import Detector
from asd.training.fit import TrainingSet, fit

ADACOS = {
    "_target_": "asd.models.loss.ClassificationLoss", "classes": "id", "mixup": 0.5, "centres": 2,
    "scale": None, "margin": 0.0,
}  # fmt: skip
EXPOSURE = {"_target_": "asd.models.loss.OutlierExposure", "sources": [["fan", "pump"]]}
SNIPPETS = {
    "_target_": "asd.models.snippet_cnn.SnippetCNN", "filters": 3, "stages": [[[3, 1, 1]]],
}  # fmt: skip
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    "adacos": (CONV, ADACOS, ["fan/00", "pump/00"]),
    "outlier exposure": (SNIPPETS, EXPOSURE, ["fan/00", "pump/00"]),
}


def clips(length: int) -> TrainingSet:
    """Windows that may begin up to ``FRAMES - length`` frames later."""
    whole = data()

    def shorter(index: Index) -> Index:
        return Index(length, index.starts, index.clips, np.full_like(index.starts, FRAMES - length))

    train, validation = shorter(whole.train), shorter(whole.validation)
    return replace(whole, train=train, validation=validation, classes=np.arange(16) % 2)


@pytest.mark.parametrize("case", list(CASES))
def test_a_resumed_training_is_the_uninterrupted_one(case: str, tmp_path: Path) -> None:
    model, loss, classes = CASES[case]
    recipe = {"bands": BANDS, "frames": 12, "classes": classes, "model": model, "loss": loss}

    def train(folder: Path, epochs: int) -> Detector:
        torch.manual_seed(0)
        trainer = options(max_epochs=epochs, rate_decay=0.5, weight_decay=0.1, adam_beta2=0.99)
        detector = Detector(recipe)
        return fit(detector, clips(12), trainer, 0, folder, lambda e, v: None)

    whole = train(tmp_path / "whole", 4)
    train(tmp_path / "parts", 2)
    torch.rand(5)
    parts = train(tmp_path / "parts", 4)
    assert largest_difference(whole, parts) == 0
    ours, theirs = (read_history(tmp_path / f / "history.csv") for f in ("whole", "parts"))
    for a, b in zip(ours, theirs, strict=True):
        assert a["val/loss"] == b["val/loss"] and a["train/loss"] == b["train/loss"]
    assert [row["learning_rate"] for row in ours] == pytest.approx(
        [1e-3 * 0.5**e for e in range(4)]
    )
    assert "val/cce" in ours[0] and "val/mse" not in ours[0]


def test_mixup_mixes_windows_and_classes_alike() -> None:
    torch.manual_seed(3)
    n, classes = 4000, 3
    labels = torch.arange(n) % classes
    # a window that says its class: one-hot frames
    windows = torch.nn.functional.one_hot(labels, classes).float().unsqueeze(1)
    got = Batch(windows, labels).mixed(0.5, classes)
    torch.testing.assert_close(got.features[:, 0], got.classes)
    torch.testing.assert_close(got.classes.sum(1), torch.ones(n))
    share = got.classes[torch.arange(n), labels]
    # half are mixed; of these a third with one of its own class
    assert float((share < 1).float().mean()) == pytest.approx(0.5 * 2 / 3, abs=0.03)
    of_mixed = np.sort(share[share < 1].numpy())
    assert np.abs(of_mixed - np.linspace(0, 1, len(of_mixed))).max() < 0.05  # uniform
    same = Batch(windows, labels)
    assert same.mixed(0.0, classes) is same
