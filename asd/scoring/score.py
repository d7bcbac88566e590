"""From a trained detector and features to one anomaly score a clip."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from asd.cores import one_torch_thread
from asd.data.manifest import Manifest
from asd.data.windows import Index
from asd.errors import AsdError
from asd.features import Features
from asd.features.batches import Batches
from asd.models.detector import Detector, Errors


class Scored(NamedTuple):
    """``table``, a row a clip; ``embeddings`` [windows, size], the bottleneck of all windows."""

    table: pd.DataFrame
    embeddings: Tensor


@dataclass(frozen=True)
class ScoredClips:
    """Test clips of one part with their scores, and what they were made from."""

    detector: Detector
    features: Features
    index: Index
    table: pd.DataFrame
    embeddings: Tensor


def score_clips(
    detector: Detector,
    clips: Manifest,
    features: Features,
    index: Index,
    classes: np.ndarray,
    score: str,
    batch_frames: int,
    workers: int = 1,
) -> Scored:
    """Anomaly scores: the mean over a clip's windows of the error of each.

    Args:
        detector: trained; its device is used.
        clips: the clips, one part of the corpus or several.
        features: theirs, in the same order.
        index: their windows.
        classes: [clips] class numbers; -1: not a class of the detector.
        score: ``mse`` in the standardised domain, ``mse_db`` in dB, or ``combined`` (the loss:
            alpha MSE + beta CCE).
        batch_frames: of a batch: as many windows as have so many frames, at least one.
        workers: batches at a time on a CPU, each on one thread.

    Returns:
        The table: machine, id, file, label, score, and mse (or mse_db) and, with a classifier, cce;
        and the windows' embeddings.

    Raises:
        AsdError: ``combined`` is asked for and a clip has none of the detector's classes, or a
            score is not finite.
    """
    strangers = np.flatnonzero(classes < 0)
    if score == "combined" and len(strangers):
        name = clips.clips["path"].iloc[strangers[0]]
        raise AsdError(
            f"scoring=combined: {name} is of a class that the detector was not trained on; "
            "use scoring=mse"
        )
    known = np.where(classes < 0, 0, classes)
    values = torch.from_numpy(features.values)
    n = len(clips)
    windows = max(1, batch_frames // index.length)
    batches = Batches(values, index, known, windows, device=detector.device)
    errors = _errors(detector, batches, score == "mse_db", workers)
    mse = _mean_of_clips([e.mse for e in errors], index, n)
    cce = _mean_of_clips([e.cce for e in errors if e.cce is not None], index, n)
    table = clips.clips[["machine", "id", "path", "label"]].rename(columns={"path": "file"})
    if score == "combined":
        loss = detector.loss
        table["score"] = loss.alpha * mse + loss.beta * cce
    else:
        table["score"] = mse
    table["mse_db" if score == "mse_db" else "mse"] = mse
    if detector.classifier is not None:
        table["cce"] = np.where(classes < 0, np.nan, cce)
    bad = np.flatnonzero(~np.isfinite(table["score"].to_numpy()))
    if len(bad):
        raise AsdError(f"{table['file'].iloc[bad[0]]}: its score is not a finite number")
    return Scored(table, torch.cat([e.embedding for e in errors]).float().cpu())


def _errors(detector: Detector, batches: Batches, decibels: bool, workers: int) -> list[Errors]:
    """Of all batches, in order."""

    def of(number: int) -> Errors:
        with torch.inference_mode():  # of this thread alone
            return detector.errors(batches.in_order(number), decibels)

    numbers = range(len(batches))
    if workers == 1 or detector.device.type != "cpu":
        # Read by the caller, at the end: a GPU then never waits for the computer.
        return [of(number) for number in numbers]
    with one_torch_thread(), ThreadPoolExecutor(workers) as pool:
        return list(pool.map(of, numbers))


def _mean_of_clips(errors: list[Tensor], index: Index, clips: int) -> np.ndarray:
    """Errors of windows, in order -> [clips] their means; zeros where there are none."""
    if not errors:
        return np.zeros(clips)
    values = torch.cat(errors).double().cpu().numpy()
    sums = np.bincount(index.clips, values, minlength=clips)
    return np.asarray(sums / np.bincount(index.clips, minlength=clips))
