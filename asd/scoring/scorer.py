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
from asd.features.batches import Batch, Batches
from asd.models.detector import Detector
from asd.models.scoring_form import scoring_form
from asd.scoring.scoring_options import ScoringOptions
from asd.scoring.window_scores import OF_CLASSES, WindowScore, window_score


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


class Scorer:
    """Scores clips with one detector.

    Args:
        detector: trained; its device is used.
        options: which score, and how it is computed.
        workers: batches at a time on a CPU, each on one thread.
    """

    def __init__(self, detector: Detector, options: ScoringOptions, workers: int = 1) -> None:
        self.detector = detector
        self.options = options
        self.workers = workers
        self._fast = scoring_form(detector, fold=options.form == "auto")
        self._score: WindowScore = window_score(options.score)

    def score(
        self, clips: pd.DataFrame, features: Features, index: Index, classes: np.ndarray
    ) -> ScoredClips:
        """Anomaly scores: the mean over a clip's windows of the score of each.

        Args:
            clips: a row a clip: machine, id, path, label.
            features: theirs, in the same order.
            index: their windows.
            classes: [clips] class numbers; -1: not a class of the detector.

        Raises:
            AsdError: the score needs the class of a clip that has none of the detector's, or a
                score is not finite.
        """
        strangers = classes < 0
        if self.options.score in OF_CLASSES and strangers.any():
            name = clips["path"].iloc[int(np.argmax(strangers))]
            raise AsdError(
                f"scoring={self.options.score}: {name} is of a class that the detector was not "
                "trained on; use scoring=mse"
            )
        windows = max(1, self.options.batch_frames // index.length)
        values = torch.from_numpy(features.values)
        known = np.where(strangers, 0, classes)
        batches = Batches(values, index, known, windows, device=self.detector.device)
        scores, mse, cce, embeddings = zip(*self._windows(batches), strict=True)
        table = clips[["machine", "id", "path", "label"]].rename(columns={"path": "file"})
        table["score"] = _means(scores, index, len(clips))
        table["mse"] = _means(mse, index, len(clips))
        if self.detector.classifier is not None:
            table["cce"] = np.where(strangers, np.nan, _means(cce, index, len(clips)))
        bad = np.flatnonzero(~np.isfinite(table["score"].to_numpy()))
        if len(bad):
            raise AsdError(f"{table['file'].iloc[bad[0]]}: its score is not a finite number")
        together = torch.cat(embeddings).float().cpu()
        return ScoredClips(self.detector, features, index, table, together)

    def _windows(self, batches: Batches) -> list[tuple[Tensor, Tensor, Tensor | None, Tensor]]:
        """Score, MSE, CCE and embedding of all batches' windows, in order."""

        def of(number: int) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
            with torch.inference_mode():  # of this thread alone
                return self._of_batch(batches.in_order(number))

        numbers = range(len(batches))
        if self.workers == 1 or self.detector.device.type != "cpu":
            # Read by the caller, at the end: a GPU then never waits for the computer.
            return [of(number) for number in numbers]
        with one_torch_thread(), ThreadPoolExecutor(self.workers) as pool:
            return list(pool.map(of, numbers))

    def _of_batch(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
        windows = self._fast.reconstruct(batch)
        mse = windows.mse
        score = mse if self.options.score == "mse" else self._score(self._fast, windows)
        return score, mse, windows.cce, windows.embedding


def _means(values: tuple[Tensor, ...], index: Index, clips: int) -> np.ndarray:
    """Values of windows, in order -> [clips] their means in float64."""
    of_windows = torch.cat(values).double().cpu().numpy()
    sums = np.bincount(index.clips, of_windows, minlength=clips)
    return np.asarray(sums / np.bincount(index.clips, minlength=clips))
