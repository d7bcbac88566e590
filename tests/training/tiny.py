"""A detector, data and a training that take a fraction of a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from asd.data.windows import Windows
from asd.experiment.trainer_options import TrainerOptions
from asd.features import Features
from asd.models.detector import Detector
from asd.models.standardiser import Standardiser
from asd.options import from_config
from asd.training.fit import TrainingSet, fit

FRAMES, BANDS = 16, 8
MODEL = {
    "_target_": "asd.models.conv_autoencoder.ConvAutoencoder",
    "filters": [4, 6],
    "pooling": [[2, 2], [2, 2]],
    "embedding": 5,
    "kernel": 3,
    "pool": "max",
    "upsampling": "nearest",
    "padding": "zeros",
    "dropout": 0.0,
    "norm_eps": 1e-3,
    "norm_momentum": 0.1,
    "initialisation": "glorot_uniform",
    "upsampling_form": "auto",
}
TRAINER = {
    "max_epochs": 3,
    "batch_size": 4,
    "learning_rate": 1e-3,
    "plateau": None,
    "stop_patience": None,
    "weights": "last",
    "accelerator": "cpu",
    "precision": "32-true",
    "deterministic": True,
    "threads": 1,
    "progress": "off",
    "memory_format": "contiguous",
    "validation_fraction": 0.1,
    "validation_strata": ["machine", "id"],
    "keep_freed_memory": True,
    "fused_adam": True,
    "compile": False,
    "cuda_graphs": False,
    "checkpoint_in_background": "auto",
    "gpu_share": 0.6,
}


def options(**trainer: Any) -> TrainerOptions:
    return from_config(TrainerOptions, "trainer", {**TRAINER, **trainer})


def detector(**model: Any) -> Detector:
    torch.manual_seed(0)
    recipe = {
        "bands": BANDS,
        "frames": FRAMES,
        "classes": [],
        "model": {**MODEL, **model},
        "loss": {"_target_": "asd.models.loss.ReconstructionLoss"},
    }
    return Detector(recipe, Standardiser.identity(BANDS))


def data() -> TrainingSet:
    clips = 16
    frames = np.full(clips, FRAMES)
    values = np.random.default_rng(0).standard_normal((clips * FRAMES, BANDS), dtype=np.float32)
    index = Windows(None, FRAMES, "first").starts(FRAMES, frames, [""] * clips)
    training = np.arange(clips) < 12
    return TrainingSet(
        Features(values, frames),
        index.of_clips(training),
        index.of_clips(~training),
        np.zeros(clips, dtype=np.int64),
    )


def trained(folder: Path, trainer: dict[str, Any], **model: Any) -> Detector:
    return fit(detector(**model), data(), options(**trainer), 0, folder, lambda e, v: None)


def largest_difference(a: Detector, b: Detector) -> float:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return max(float((x.double() - y.double()).abs().max()) for x, y in pairs)
