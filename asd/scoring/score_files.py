"""From a checkpoint and recordings to scores: what a plant runs on a new clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from asd.composition import build
from asd.data.audio import read_clip
from asd.errors import AsdError


def score_files(checkpoint: Path, files: list[Path]) -> pd.DataFrame:
    """Anomaly scores of recordings; the checkpoint alone says how they are computed.

    Args:
        checkpoint: ``model.ckpt`` of a run's model (``best.ckpt`` and ``last.ckpt`` do too).
        files: recordings of the machines that it was trained on.

    Returns:
        A row a file: file, score (mean squared error in the standardised domain).

    Raises:
        AsdError: the checkpoint or a file cannot be used; nothing is scored then.
    """
    import torch

    from asd.data.windows import Windows
    from asd.features.batches import Batches
    from asd.models.detector import load_detector

    detector = load_detector(checkpoint)
    recipe = detector.recipe
    frontend = build(recipe["frontend"], "frontend")
    windows: Windows = build(recipe["window"], "window")
    features = []
    for file in files:
        try:
            wave = read_clip(file, frontend.rate, recipe["channel"])
            features.append(frontend.features(wave))
        except AsdError as error:
            said = str(error)
            raise AsdError(said if str(file) in said else f"{file}: {said}") from error
    scores = []
    for file, values in zip(files, features, strict=True):
        index = windows.starts(recipe["frames"], np.array([len(values)]), [str(file)])
        tensor = torch.from_numpy(values)
        batches = Batches(tensor, index, np.zeros(1, dtype=np.int64), len(index.starts))
        with torch.inference_mode():
            errors = [detector.errors(batch)[0].double() for batch in batches]
        scores.append(float(torch.cat(errors).mean()))
    return pd.DataFrame({"file": [str(f) for f in files], "score": scores})
