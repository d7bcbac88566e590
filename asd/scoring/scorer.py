"""From clips to anomaly scores: the mean over a clip's windows, or what a back end says of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from asd.composition import build
from asd.cores import one_torch_thread
from asd.data.windows import Index
from asd.errors import AsdError
from asd.features import Features
from asd.features.batches import Batches
from asd.models.detector import Detector
from asd.models.scoring_form import scoring_form
from asd.scoring.banks import bank_names, bank_scores, fit_banks
from asd.scoring.calibration import Calibration
from asd.scoring.clip_vectors import vectors_of_clips
from asd.scoring.error_maps import error_profiles
from asd.scoring.scoring_options import ScoringOptions
from asd.scoring.window_scores import OF_CLASSES


@dataclass(frozen=True)
class ScoredClips:
    """Clips with their scores, and what these were made from.

    Args:
        detector: trained, as it was trained.
        features: of the clips.
        index: their windows.
        table: a row a clip: machine, id, file, label, score; with a network mse, with a classifier
            cce.
        embeddings: [windows, size] the bottleneck, float32 on the CPU; None without a network.
    """

    detector: Detector
    features: Features
    index: Index
    table: pd.DataFrame
    embeddings: Tensor | None


def fit_back_end(
    detector: Detector,
    options: ScoringOptions,
    clips: pd.DataFrame,
    features: Features,
    index: Index,
    workers: int = 1,
) -> None:
    """Fit the back end, if there is one, to normal training clips; the detector keeps its state.

    Args:
        detector, options, clips, features, workers: see ``score_clips``.
        index: windows of the clips to fit to. Validation clips are not among them, so that they can
            judge what is fitted.

    Raises:
        AsdError: a bank has too few clips.
    """
    if options.back_end is None:
        return
    outputs = _outputs(detector, options, features, index, np.zeros(len(clips), int), workers)
    vectors = vectors_of_clips(options.function(), features, index, outputs.get("embedding"))
    names = bank_names(clips.iloc[np.unique(index.clips)], options.bank)
    detector.banks = fit_banks(build(options.back_end, "scoring.back_end"), vectors, names)


def calibrate(
    detector: Detector,
    options: ScoringOptions,
    clips: pd.DataFrame,
    features: Features,
    index: Index,
    classes: np.ndarray,
    workers: int = 1,
) -> pd.DataFrame:
    """Score normal clips that were held out; the detector keeps scores and errors.

    Args:
        detector, options, clips, features, classes, workers: see ``score_clips``.
        index: windows of the clips held out, which may be some of these.

    Returns:
        The table of those held out, as in ``ScoredClips``.
    """
    held_out, numbers = np.unique(index.clips, return_inverse=True)
    table, own = clips.iloc[held_out].reset_index(drop=True), replace(index, clips=numbers)
    scored = score_clips(detector, options, table, features, own, classes[held_out], workers)
    found = Calibration.of_clips(scored.table).scores
    detector.calibration = {name: torch.from_numpy(scores) for name, scores in found.items()}
    detector.profiles = error_profiles(scored)
    return scored.table


def score_clips(
    detector: Detector,
    options: ScoringOptions,
    clips: pd.DataFrame,
    features: Features,
    index: Index,
    classes: np.ndarray,
    workers: int = 1,
) -> ScoredClips:
    """Anomaly scores: the mean over a clip's windows of the score of each, or a back end's.

    Args:
        detector: trained; its device is used.
        options: which score, and how it is computed.
        clips: a row a clip: machine, id, path, label.
        features: theirs, in the same order.
        index: their windows.
        classes: [clips] class numbers; -1: not a class of the detector.
        workers: batches at a time on a CPU, each on one thread.

    Raises:
        AsdError: the score needs the class of a clip that has none of the detector's, or training
            clips of a machine type that had none, or a score is not finite.
    """
    strangers = classes < 0
    if options.score in OF_CLASSES and strangers.any():
        name = clips["path"].iloc[int(np.argmax(strangers))]
        raise AsdError(
            f"scoring={options.score}: {name} is of a class that the detector was not trained on; "
            "use scoring=mse"
        )
    known = np.where(strangers, 0, classes)
    outputs = _outputs(detector, options, features, index, known, workers)
    means = {
        name: _means(outputs[name], index, len(clips))
        for name in ("score", "mse", "cce")
        if name in outputs
    }
    if options.vectors is not None:
        vectors = vectors_of_clips(options.function(), features, index, outputs.get("embedding"))
        means = {"score": _of_vectors(detector, options, clips, vectors), **means}
    if "cce" in means:
        means["cce"][strangers] = np.nan
    table = clips[["machine", "id", "path", "label"]].rename(columns={"path": "file"})
    table = table.assign(**means)
    bad = np.flatnonzero(~np.isfinite(table["score"].to_numpy()))
    if len(bad):
        raise AsdError(f"{table['file'].iloc[bad[0]]}: its score is not a finite number")
    return ScoredClips(detector, features, index, table, outputs.get("embedding"))


def _outputs(
    detector: Detector,
    options: ScoringOptions,
    features: Features,
    index: Index,
    classes: np.ndarray,
    workers: int,
) -> dict[str, Tensor]:
    """What the network, if there is one, gives of windows, in order, on the CPU.

    Returns:
        ``mse`` [windows], ``embedding`` [windows, size], with a classifier ``cce`` [windows], and
        ``score`` [windows] where ``scoring.score`` is of windows.
    """
    if not detector.has_network:
        return {}
    score = None if options.score is None else options.function()
    fast = scoring_form(detector, options.form)
    size = max(1, options.batch_frames // index.length)
    values = torch.from_numpy(features.values)
    batches = Batches(values, index, classes, size, device=detector.device)

    def of_batch(number: int) -> dict[str, Tensor]:
        with torch.inference_mode():  # of this thread alone
            windows = fast.reconstruct(batches.in_order(number))
            made = {"mse": windows.mse, "embedding": windows.embedding.float()}
            if windows.cce is not None:
                made["cce"] = windows.cce
            return made if score is None else {"score": score(fast, windows), **made}

    numbers = range(len(batches))
    if workers == 1 or detector.device.type != "cpu":
        # Read below, all at once: a GPU then never waits for the computer.
        computed = [of_batch(number) for number in numbers]
    else:
        with one_torch_thread(), ThreadPoolExecutor(workers) as pool:
            computed = list(pool.map(of_batch, numbers))
    return {name: torch.cat([made[name] for made in computed]).cpu() for name in computed[0]}


def _of_vectors(
    detector: Detector, options: ScoringOptions, clips: pd.DataFrame, vectors: np.ndarray
) -> np.ndarray:
    """[clips, values] -> [clips] scores: the back end's, or the vector's only value."""
    if options.back_end is not None:
        back_end = build(options.back_end, "scoring.back_end")
        return bank_scores(back_end, detector.banks, vectors, bank_names(clips, options.bank))
    if vectors.shape[1] != 1:
        raise AsdError(
            f"scoring.vectors={options.vectors}: {vectors.shape[1]} values are no score without a "
            "scoring.back_end; see conf/scoring/knn.yaml"
        )
    return vectors[:, 0]


def _means(values: Tensor, index: Index, clips: int) -> np.ndarray:
    """Values of windows, in order -> [clips] their means in float64."""
    sums = np.bincount(index.clips, values.double().numpy(), minlength=clips)
    return np.asarray(sums / np.bincount(index.clips, minlength=clips))
