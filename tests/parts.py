"""Configs of parts that are as small as they can be, and as complete as those in ``conf/``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from asd.models.detector import Detector, save_detector
from asd.models.standardiser import Standardiser
from asd.scoring.back_ends import BackEnd, bank_scores, fit_banks

CONV: dict[str, Any] = {
    "_target_": "asd.models.conv_autoencoder.ConvAutoencoder",
    "filters": [4, 6],
    "pooling": [[2, 2], [2, 2]],
    "embedding": 5,
    "kernel": 3,
    "pool": "max",
    "upsampling": "nearest",
    "dropout": 0.0,
    "norm_eps": 1e-3,
    "norm_momentum": 0.1,
}
DENSE: dict[str, Any] = {
    "_target_": "asd.models.dense_autoencoder.DenseAutoencoder",
    "hidden": 5,
    "layers": 2,
    "embedding": 2,
    "norm_eps": 1e-3,
    "norm_momentum": 0.1,
}
MSE = {"_target_": "asd.models.loss.ReconstructionLoss"}
MEL = {"_target_": "asd.frontends.mel.Mel", "rate": 16000, "bands": 8, "n_fft": 512, "hop": 256}
SS = {
    "_target_": "asd.models.loss.SemiSupervisedLoss",
    "alpha": 0.7,
    "classes": "machine",
}


def options_of(config: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """Arguments of the class that the config names."""
    return {k: v for k, v in {**config, **changed}.items() if k != "_target_"}


def scoring_of(**changed: Any) -> dict[str, Any]:
    """Options of ``scoring`` as ``conf/scoring/mse.yaml`` has them."""
    mean = {"_target_": "asd.scoring.pooling.Mean"}
    options = {"score": "mse", "vectors": None, "back_end": None, "bank": None, "per_id": False,
               "max_fpr": 0.1, "batch_frames": 8, "pooling": mean}  # fmt: skip
    return {**options, **changed}


def fitted_scores(back_end: BackEnd, bank: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """[clips] scores of vectors by a back end that is fitted to those of a bank."""
    one = fit_banks(back_end, bank, np.full(len(bank), "all"))
    return bank_scores(back_end, one, vectors, np.full(len(vectors), "all"))


def save_model(path: Path, **changed: Any) -> Path:
    """A detector of fan ID 00 with random weights, calibrated: 19 scores below any noise's."""
    torch.manual_seed(0)
    recipe = {
        "bands": 8, "frames": 4, "classes": [], "channel": None, "model": CONV, "loss": MSE,
        "machines": ["fan"], "ids": [("fan", "00")], "frontend": MEL, "longest_seconds": 1e9,
        "window": {"_target_": "asd.data.windows.Windows", "seconds": None, "frames": 4,
                   "cover": "all"},
        "scoring": scoring_of(batch_frames=100),
        "calibration": {"fraction": 0.2, "rule": "conformal", "false_alarms": 0.05,
                        "clips_per_hour": 60},
        **changed,
    }  # fmt: skip
    detector = Detector(recipe, Standardiser.identity(8))
    detector.calibration = {"fan/00": torch.linspace(0, 1, 19, dtype=torch.float64)}
    save_detector(detector, path)
    return path
