"""From clips to anomaly scores: pooled over a clip's windows, or what a back end says of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from asd.composition import build
from asd.cores import one_torch_thread
from asd.data.windows import Index
from asd.errors import AsdError
from asd.features.batches import Batch, Batches
from asd.features.part import Features
from asd.models.detector import Detector
from asd.models.scoring_form import scoring_form
from asd.scoring.back_ends import Interquartile, bank_names, bank_scores, fit_banks
from asd.scoring.calibration import scores_by_id
from asd.scoring.clip_vectors import vectors_of_clips, window_score
from asd.scoring.error_maps import normal_clips
from asd.scoring.pooling import Mean
from asd.scoring.scoring_options import ScoringOptions
from asd.scoring.window_scores import OF_CLASSES

# Clips whose residuals are in memory together: B's take 80 MB.
_RESIDUALS_AT_ONCE = 100


class ClipSet(NamedTuple):
    """Clips, and what it takes to score them."""

    table: pd.DataFrame  # a row a clip: machine, id, path, label
    features: Features  # theirs, in the same order, among others maybe
    windows: Index  # where they begin, at least one of each clip
    classes: np.ndarray  # [clips] class numbers; -1: not a class of the detector

    def part(self, windows: Index) -> ClipSet:
        """The clips that these are windows of, which are some of all windows."""
        numbers, own = np.unique(windows.clips, return_inverse=True)
        table = self.table.iloc[numbers].reset_index(drop=True)
        return ClipSet(table, self.features, replace(windows, clips=own), self.classes[numbers])


@dataclass(frozen=True)
class ScoredClips:
    """Clips with their scores, and what these were made from.

    ``table``: a row a clip: machine, id, file, label, score; with a network mse, with a classifier
    cce, both means over its windows.
    """

    detector: Detector
    features: Features
    index: Index  # the clips' windows
    table: pd.DataFrame
    embeddings: Tensor | None  # [windows, size], float32 on the CPU; None without a network


def fit_back_end(
    detector: Detector, options: ScoringOptions, clips: ClipSet, validation: ClipSet,
    workers: int = 1,
) -> None:  # fmt: skip
    """Fit the back end, if there is one, then the scale of scores; the detector keeps their state.

    The back end is fitted to normal training clips without those for validation, which can so judge
    it; their scores give ``scoring.per_id`` its scale. Other arguments: see ``score_clips``.
    Refused is what ``fit_banks`` refuses.
    """
    detector.scales = {}
    if options.back_end is not None:
        back_end = build(options.back_end, "scoring.back_end")
        vectors = _clip_vectors(detector, options, clips, workers)[1]
        detector.banks = fit_banks(back_end, vectors, bank_names(clips.table, options.bank))
    if options.per_id:
        scores = score_clips(detector, options, validation, workers).table[["score"]].to_numpy()
        detector.scales = fit_banks(Interquartile(), scores, bank_names(validation.table, "id"))


def calibrate(
    detector: Detector, options: ScoringOptions, clips: ClipSet, workers: int = 1
) -> pd.DataFrame:
    """``score_clips`` of normal clips held out: their table; the detector keeps what it needs."""
    scored = score_clips(detector, options, clips, workers)
    scores = scores_by_id(scored.table)
    detector.calibration = {name: torch.from_numpy(own) for name, own in scores.items()}
    detector.profiles, detector.spectra = normal_clips(scored)
    return scored.table


def score_clips(
    detector: Detector, options: ScoringOptions, clips: ClipSet, workers: int = 1
) -> ScoredClips:
    """Anomaly scores of one clip or more: pooled over its windows or frames, or a back end's.

    On the detector's device; on a CPU ``workers`` batches at a time, each on one thread.

    Raises:
        AsdError: the score needs the class of a clip that has none of the detector's, or training
            clips of a machine type that had none, or a score is not finite.
    """
    table = clips.table[["machine", "id", "path", "label"]].rename(columns={"path": "file"})
    strangers = clips.classes < 0
    if options.score in OF_CLASSES and strangers.any():
        name = table["file"].iloc[int(np.argmax(strangers))]
        text = f"{name} is of a class that the detector was not trained on"
        raise AsdError(f"scoring={options.score}: {text}; use one that asks for no class")
    known = clips._replace(classes=np.where(strangers, 0, clips.classes))
    outputs, vectors = _clip_vectors(detector, options, known, workers)
    if options.back_end is not None:
        back_end = build(options.back_end, "scoring.back_end")
        names = bank_names(table, options.bank)
        scores = bank_scores(back_end, detector.banks, vectors, names)
    elif vectors.shape[1] == 1:
        scores = vectors[:, 0]
    else:
        text = f"{vectors.shape[1]} values are no score without a scoring.back_end"
        raise AsdError(f"scoring.vectors={options.vectors}: {text}; see conf/scoring/knn.yaml")
    if options.per_id and detector.scales:
        names = bank_names(table, "id")
        scores = bank_scores(Interquartile(), detector.scales, scores[:, None], names)
    table["score"] = scores
    for name in table["file"][~np.isfinite(scores)]:
        raise AsdError(f"{name}: its score is not a finite number")
    of_clips = clips.windows.clips
    for name in [name for name in ("mse", "cce") if name in outputs]:
        table[name] = np.bincount(of_clips, outputs[name].double().numpy()) / np.bincount(of_clips)
    if "cce" in table:
        table.loc[strangers, "cce"] = np.nan
    return ScoredClips(detector, clips.features, clips.windows, table, outputs.get("embedding"))


def _clip_vectors(
    detector: Detector, options: ScoringOptions, clips: ClipSet, workers: int
) -> tuple[dict[str, Tensor], np.ndarray]:
    """What ``_outputs`` returns, and [clips, values] vectors, or [clips, 1] pooled scores."""
    pooling = build(options.pooling, "scoring.pooling")
    function = window_score if options.vectors is None else options.function()
    paths, numbers = list(clips.table["path"]), np.arange(len(clips.table))
    at_once = _RESIDUALS_AT_ONCE if options.vectors == "residual" else len(paths)
    outputs, vectors = [], []
    for first in numbers[::at_once]:
        index = clips.windows.of_clips((first <= numbers) & (numbers < first + at_once))
        made = _outputs(detector, options, clips._replace(windows=index), workers)
        vectors.append(vectors_of_clips(function, pooling, clips.features, index, made, paths))
        outputs.append({name: values for name, values in made.items() if name != "residual"})
    joined = {name: torch.cat([made[name] for made in outputs]) for name in outputs[0]}
    if "score" in joined and joined["score"].numel() == len(paths) and pooling != Mean():
        text = "scoring.pooling: each clip has one score, of its only window; pool several"
        raise AsdError(f"{text}: of frames (scoring.score=frame_mse) or windows (window=tiles)")
    return joined, np.concatenate(vectors)


def _outputs(
    detector: Detector, options: ScoringOptions, clips: ClipSet, workers: int
) -> dict[str, Tensor]:
    """``window_outputs``, if there is a network, of all windows, in order, on the CPU."""
    if not detector.has_network:
        return {}
    fast = scoring_form(detector)
    size = max(1, options.batch_frames // clips.windows.length)
    values = torch.from_numpy(clips.features.values)
    batches = Batches(values, clips.windows, clips.classes, size, device=detector.device)

    def of_batch(number: int) -> dict[str, Tensor]:
        with torch.inference_mode():  # of this thread alone
            return window_outputs(fast, options, batches.in_order(number))

    numbers = range(len(batches))
    if workers == 1 or detector.device.type != "cpu":
        # Read below, all at once: a GPU then never waits for the computer.
        computed = [of_batch(number) for number in numbers]
    else:
        with one_torch_thread(), ThreadPoolExecutor(workers) as pool:
            computed = list(pool.map(of_batch, numbers))
    return {name: torch.cat([made[name] for made in computed]).cpu() for name in computed[0]}


def window_outputs(detector: Detector, options: ScoringOptions, batch: Batch) -> dict[str, Tensor]:
    """What the network gives of windows: ``embedding`` [windows, size].

    With a reconstruction ``mse`` [windows] too, with classes ``cce`` [windows], and ``score``
    [windows, ...] where ``scoring.score`` is of windows.
    """
    windows = detector.outputs(batch)
    found = {"mse": windows.mse, "embedding": windows.embedding.float(), "cce": windows.cce}
    made = {name: value for name, value in found.items() if value is not None}
    if options.vectors == "residual":
        made["residual"] = windows.output - windows.target
    if options.score is not None:
        made["score"] = options.function()(detector, windows)
    return made
