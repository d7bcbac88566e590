"""From a trained detector and features to one anomaly score a clip."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from asd.cores import one_torch_thread
from asd.data.windows import Index
from asd.errors import AsdError
from asd.features import Features
from asd.features.batches import Batches
from asd.models.detector import Detector
from asd.models.scoring_form import scoring_form
from asd.scoring.scoring_options import ScoringOptions
from asd.scoring.window_scores import OF_CLASSES, window_score


@dataclass(frozen=True)
class ScoredClips:
    """Clips with their scores, and what these were made from.

    Args:
        detector: trained, as it was trained.
        features: of the clips.
        index: their windows.
        table: a row a clip: machine, id, file, label, score, mse and, with a classifier, cce.
        embeddings: [windows, size] the bottleneck, float32 on the CPU.
    """

    detector: Detector
    features: Features
    index: Index
    table: pd.DataFrame
    embeddings: Tensor


def score_clips(
    detector: Detector,
    options: ScoringOptions,
    clips: pd.DataFrame,
    features: Features,
    index: Index,
    classes: np.ndarray,
    workers: int = 1,
) -> ScoredClips:
    """Anomaly scores: the mean over a clip's windows of the score of each.

    Args:
        detector: trained; its device is used.
        options: which score, and how it is computed.
        clips: a row a clip: machine, id, path, label.
        features: theirs, in the same order.
        index: their windows.
        classes: [clips] class numbers; -1: not a class of the detector.
        workers: batches at a time on a CPU, each on one thread.

    Raises:
        AsdError: the score needs the class of a clip that has none of the detector's, or a score
            is not finite.
    """
    strangers = classes < 0
    if options.score in OF_CLASSES and strangers.any():
        name = clips["path"].iloc[int(np.argmax(strangers))]
        raise AsdError(
            f"scoring={options.score}: {name} is of a class that the detector was not trained on; "
            "use scoring=mse"
        )
    window_scores, fast = window_score(options.score), scoring_form(detector, options.form)
    size = max(1, options.batch_frames // index.length)
    values, known = torch.from_numpy(features.values), np.where(strangers, 0, classes)
    batches = Batches(values, index, known, size, device=detector.device)

    def of_batch(number: int) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
        with torch.inference_mode():  # of this thread alone
            windows = fast.reconstruct(batches.in_order(number))
            return window_scores(fast, windows), windows.mse, windows.cce, windows.embedding

    numbers = range(len(batches))
    if workers == 1 or detector.device.type != "cpu":
        # Read below, all at once: a GPU then never waits for the computer.
        computed = [of_batch(number) for number in numbers]
    else:
        with one_torch_thread(), ThreadPoolExecutor(workers) as pool:
            computed = list(pool.map(of_batch, numbers))
    scores, mse, cce, embeddings = zip(*computed, strict=True)
    table = clips[["machine", "id", "path", "label"]].rename(columns={"path": "file"})
    table["score"] = _means(scores, index, len(clips))
    table["mse"] = _means(mse, index, len(clips))
    if detector.classifier is not None:
        table["cce"] = np.where(strangers, np.nan, _means(cce, index, len(clips)))
    bad = np.flatnonzero(~np.isfinite(table["score"].to_numpy()))
    if len(bad):
        raise AsdError(f"{table['file'].iloc[bad[0]]}: its score is not a finite number")
    return ScoredClips(detector, features, index, table, torch.cat(embeddings).float().cpu())


def _means(values: tuple[Tensor, ...], index: Index, clips: int) -> np.ndarray:
    """Values of windows, in order -> [clips] their means in float64."""
    of_windows = torch.cat(values).double().cpu().numpy()
    sums = np.bincount(index.clips, of_windows, minlength=clips)
    return np.asarray(sums / np.bincount(index.clips, minlength=clips))
