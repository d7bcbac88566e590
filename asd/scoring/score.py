"""From a trained detector and features to one anomaly score a clip."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch

from asd.data.features import Features
from asd.data.manifest import Manifest
from asd.data.windows import Index
from asd.errors import AsdError
from asd.models.detector import Detector
from asd.training.batches import Batch, Batches


def score_clips(
    detector: Detector,
    clips: Manifest,
    features: Features,
    index: Index,
    classes: np.ndarray,
    score: str,
    batch_size: int,
) -> pd.DataFrame:
    """Anomaly scores: the mean over a clip's windows of the error of each.

    Args:
        detector: trained; its device is used.
        clips: the clips, one part of the corpus or several.
        features: theirs, in the same order.
        index: their windows.
        classes: [clips] class numbers; -1: not a class of the detector.
        score: ``mse``, or ``combined`` (the loss: alpha MSE + beta CCE).
        batch_size: windows at a time.

    Returns:
        A row a clip: machine, id, file, label, score, and mse and, with a classifier, cce.

    Raises:
        AsdError: ``combined`` is asked for and a clip has none of the detector's classes, or a score
            is not finite.
    """
    strangers = np.flatnonzero(classes < 0)
    if score == "combined" and len(strangers):
        name = clips.clips["path"].iloc[strangers[0]]
        raise AsdError(
            f"scoring=combined: {name} is of a class that the detector was not trained on; "
            "use scoring=mse"
        )
    known = np.where(classes < 0, 0, classes)
    # A copy: a memory map is read-only, which torch warns of.
    values = torch.from_numpy(np.array(features.values))
    n = len(clips)
    mse, cce, count = np.zeros(n), np.zeros(n), np.bincount(index.clips, minlength=n)
    position = 0
    with torch.inference_mode():
        for batch in _on_device(Batches(values, index, known, batch_size), detector.device):
            of = index.clips[position : position + len(batch.features)]
            position += len(of)
            errors = detector.errors(batch)
            mse += np.bincount(of, errors[0].double().cpu().numpy(), minlength=n)
            if errors[1] is not None:
                cce += np.bincount(of, errors[1].double().cpu().numpy(), minlength=n)
    mse, cce = mse / count, cce / count
    table = clips.clips[["machine", "id", "path", "label"]].rename(columns={"path": "file"})
    if score == "combined":
        loss = detector.loss
        table["score"] = loss.alpha * mse + loss.beta * cce
    else:
        table["score"] = mse
    table["mse"] = mse
    if detector.classifier is not None:
        table["cce"] = np.where(classes < 0, np.nan, cce)
    bad = np.flatnonzero(~np.isfinite(table["score"].to_numpy()))
    if len(bad):
        raise AsdError(f"{table['file'].iloc[bad[0]]}: its score is not a finite number")
    return table


def _on_device(batches: Batches, device: torch.device) -> Iterator[Batch]:
    for batch in batches:
        yield Batch(*(tensor.to(device) for tensor in batch))
