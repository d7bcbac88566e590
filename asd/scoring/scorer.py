"""From clips to anomaly scores: pooled over a clip's windows, or what a back end says of it."""

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
from asd.scoring.back_ends import ByStationarity, Interquartile
from asd.scoring.banks import bank_names, bank_scores, fit_banks, states_of
from asd.scoring.calibration import Calibration
from asd.scoring.clip_vectors import vectors_of_clips
from asd.scoring.error_maps import error_profiles
from asd.scoring.pooling import Mean, Pooling
from asd.scoring.scoring_options import ScoringOptions
from asd.scoring.window_scores import OF_CLASSES

# Clips whose residuals are in memory together: B's take 80 MB.
_RESIDUALS_AT_ONCE = 100


@dataclass(frozen=True)
class ScoredClips:
    """Clips with their scores, and what these were made from.

    Args:
        detector: trained, as it was trained.
        features: of the clips.
        index: their windows.
        table: a row a clip: machine, id, file, label, score; with a network mse, with a classifier
            cce, both means over its windows; with a rule for pooling, what it chose.
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
    validation: Index,
    classes: np.ndarray,
    workers: int = 1,
) -> None:
    """Fit the back end, if there is one, to normal training clips, then the scale of scores.

    The detector keeps their state.

    Args:
        detector, options, clips, features, classes, workers: see ``score_clips``.
        index: windows of the clips to fit to. Validation clips are not among them, so that they can
            judge what is fitted.
        validation: windows of the validation clips, whose scores give ``scoring.per_id`` its scale.

    Raises:
        AsdError: a bank has too few clips.
    """
    detector.scales = {}
    own = clips.iloc[np.unique(index.clips)]
    if options.back_end is not None:
        back_end = build(options.back_end, "scoring.back_end")
        vectors = _vectors(detector, options, clips, features, index, classes, workers)[1]
        detector.banks = fit_banks(back_end, vectors, bank_names(own, options.bank))
    if options.per_id:
        numbers, own_numbers = np.unique(validation.clips, return_inverse=True)
        held_out, part = clips.iloc[numbers], Index(index.length, validation.starts, own_numbers)
        known = classes[numbers]
        scored = score_clips(detector, options, held_out, features, part, known, workers)
        scores = scored.table[["score"]].to_numpy()
        detector.scales = fit_banks(Interquartile(), scores, bank_names(held_out, "id"))


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
    """Anomaly scores: pooled over a clip's windows or frames, or a back end's.

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
    means: dict[str, np.ndarray] = {}
    if options.vectors is not None:
        outputs, vectors = _vectors(detector, options, clips, features, index, known, workers)
        means = _of_vectors(detector, options, clips, vectors)
    else:
        outputs = _outputs(detector, options, features, index, known, workers)
        pooling = build(options.pooling, "scoring.pooling")
        means["score"] = _pooled(outputs["score"], index, pooling)
    means |= {n: _means(outputs[n], index, len(clips)) for n in ("mse", "cce") if n in outputs}
    if options.per_id and detector.scales:
        ids = bank_names(clips, "id")
        scores = means["score"][:, None]
        means["score"] = bank_scores(Interquartile(), detector.scales, scores, ids)
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
        ``embedding`` [windows, size], with a reconstruction ``mse`` [windows], with classes ``cce``
        [windows], and ``score`` [windows] where ``scoring.score`` is of windows.
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
            windows = fast.outputs(batches.in_order(number))
            found = {"mse": windows.mse, "embedding": windows.embedding.float(), "cce": windows.cce}
            made = {name: value for name, value in found.items() if value is not None}
            if options.vectors == "residual":
                made["residual"] = windows.residual
            return made if score is None else {"score": score(fast, windows), **made}

    numbers = range(len(batches))
    if workers == 1 or detector.device.type != "cpu":
        # Read below, all at once: a GPU then never waits for the computer.
        computed = [of_batch(number) for number in numbers]
    else:
        with one_torch_thread(), ThreadPoolExecutor(workers) as pool:
            computed = list(pool.map(of_batch, numbers))
    return {name: torch.cat([made[name] for made in computed]).cpu() for name in computed[0]}


def _vectors(
    detector: Detector,
    options: ScoringOptions,
    clips: pd.DataFrame,
    features: Features,
    index: Index,
    classes: np.ndarray,
    workers: int,
) -> tuple[dict[str, Tensor], np.ndarray]:
    """What ``_outputs`` returns, and [clips, values] vectors of the clips that have windows."""
    pooling, function = build(options.pooling, "scoring.pooling"), options.function()
    numbers, names = np.unique(index.clips), list(clips["path"])
    at_once = _RESIDUALS_AT_ONCE if options.vectors == "residual" else len(numbers)
    outputs, vectors = [], []
    for first in range(0, len(numbers), at_once):
        some = np.isin(np.arange(len(clips)), numbers[first : first + at_once])
        part = index.of_clips(some)
        made = _outputs(detector, options, features, part, classes, workers)
        vectors.append(vectors_of_clips(function, pooling, features, part, made, names))
        outputs.append({name: values for name, values in made.items() if name != "residual"})
    joined = {name: torch.cat([made[name] for made in outputs]) for name in outputs[0]}
    return joined, np.concatenate(vectors)


def _pooled(values: Tensor, index: Index, pooling: Pooling) -> np.ndarray:
    """Scores of windows, or of their frames, [windows, ...] in order -> [clips] in float64."""
    clips = torch.split(values.double(), np.bincount(index.clips).tolist())
    if max(clip.numel() for clip in clips) == 1 and pooling != Mean():
        raise AsdError(
            "scoring.pooling: each clip has one score, of its only window; pool scores of frames "
            "(scoring.score=frame_mse), or of several windows (window=tiles)"
        )
    return np.array([pooling(clip.flatten()).item() for clip in clips])


def _of_vectors(
    detector: Detector, options: ScoringOptions, clips: pd.DataFrame, vectors: np.ndarray
) -> dict[str, np.ndarray]:
    """[clips, values] -> ``score`` [clips]: the back end's, with its choice, or the only value."""
    if options.back_end is not None:
        back_end = build(options.back_end, "scoring.back_end")
        banks, names = detector.banks, bank_names(clips, options.bank)
        made = {"score": bank_scores(back_end, banks, vectors, names)}
        if isinstance(back_end, ByStationarity):
            chosen = {name: back_end.chosen(states_of(banks, name)[0]) for name in set(names)}
            made["pooling"] = np.array([chosen[name] for name in names], dtype=object)
        return made
    if vectors.shape[1] != 1:
        raise AsdError(
            f"scoring.vectors={options.vectors}: {vectors.shape[1]} values are no score without a "
            "scoring.back_end; see conf/scoring/knn.yaml"
        )
    return {"score": vectors[:, 0]}


def _means(values: Tensor, index: Index, clips: int) -> np.ndarray:
    """Values of windows, in order -> [clips] their means in float64."""
    sums = np.bincount(index.clips, values.double().numpy(), minlength=clips)
    return np.asarray(sums / np.bincount(index.clips, minlength=clips))
