"""A detector, data and a training that take a fraction of a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from parts import CONV, MSE

from asd.composition import folder_of
from asd.data.windows import Windows
from asd.experiment.trainer_options import TrainerOptions
from asd.features.part import Features
from asd.models.detector import Detector
from asd.models.standardiser import Standardiser
from asd.options import from_config
from asd.training.fit import TrainingSet, fit

FRAMES, BANDS = 16, 8
# The options that cost nothing are as they come; with ``last``, nothing depends on which was best.
TRAINER: dict[str, Any] = {
    **yaml.safe_load((folder_of("conf") / "trainer" / "paper.yaml").read_text()),
    "max_epochs": 3,
    "batch_size": 4,
    "learning_rate": 1e-3,
    "plateau": None,
    "stop_patience": None,
    "weights": "last",
    "accelerator": "cpu",
    "threads": 1,
    "progress": "off",
    "memory_format": "contiguous",
}


def options(**trainer: Any) -> TrainerOptions:
    return from_config(TrainerOptions, "trainer", {**TRAINER, **trainer})


def detector(**model: Any) -> Detector:
    torch.manual_seed(0)
    recipe = {
        "bands": BANDS,
        "frames": FRAMES,
        "classes": [],
        "model": {**CONV, **model},
        "loss": MSE,
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
