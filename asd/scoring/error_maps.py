"""Where in a clip its error lies, and what a detector keeps of normal clips for comparison."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

if TYPE_CHECKING:
    import pandas as pd

    from asd.scoring.scorer import ScoredClips

#: Of normal clips, that a clip's profiles are compared with.
QUANTILES = (0.05, 0.5, 0.95)
# Of a machine ID, that something is kept of: a picture needs no more.
_NORMAL_CLIPS = 50


def error_maps(scored: ScoredClips, row: int) -> dict[str, npt.NDArray[np.float32]]:
    """A clip's input and reconstruction in dB and squared, standardised error: [frames, bands].

    Where windows overlap, frames are means over them; those at the ends that the network does not
    predict are left out. Without a reconstruction the input alone.
    """
    index, features, detector = scored.index, scored.features, scored.detector
    starts = index.starts[index.clips == row]
    first, last = int(starts.min()), int(starts.max()) + index.length
    shown = np.array(features.values[first:last], np.float32)
    if not detector.reconstructs:
        return {"input": shown}
    every = np.arange(index.length)
    inside = every[detector.predicts]
    seen, frames = (starts[:, None] - first + part for part in (every, inside - inside[0]))
    with torch.inference_mode():
        batch = torch.from_numpy(shown[seen]).to(detector.device)
        target = detector.standardiser(batch)[:, detector.predicts].float().cpu().numpy()
        output = detector(batch)[0].float().cpu().numpy()
    shown = shown[inside[0] : len(shown) - (every[-1] - inside[-1])]
    sums = np.zeros((2, *shown.shape))
    np.add.at(sums[0], frames, output)
    np.add.at(sums[1], frames, np.square(output - target))
    count = np.bincount(frames.ravel())[:, None]
    std, mean = (x.cpu().numpy() for x in (detector.standardiser.std, detector.standardiser.mean))
    made = {"reconstruction": sums[0] / count * std + mean, "error": sums[1] / count}
    return {"input": shown, **{name: values.astype(np.float32) for name, values in made.items()}}


def normal_clips(scored: ScoredClips) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What pictures need of normal clips, at most 50 of a machine ID; float32.

    Returns:
        ``QUANTILES`` over them, [quantiles, bands + 1]: of the mean error of each band over a clip,
        and last of the mean error of a frame; without a network of their levels in dB. By machine
        ID (``fan/00``), type (``fan``) and of ``all``, as ``asd.scoring.calibration.normals_of``
        names them. And [bands] the mean level of each clip in dB, by machine, ID and file (its
        name and two folders, not where these lie). Nothing of a network without reconstruction.
    """
    if scored.detector.has_network and not scored.detector.reconstructs:
        return {}, {}
    table: pd.DataFrame = scored.table[["machine", "id", "file"]]
    chosen = table[table.groupby(["machine", "id"]).cumcount() < _NORMAL_CLIPS]
    errors: dict[str, list[np.ndarray]] = {}
    levels: dict[str, np.ndarray] = {}
    for row, machine, machine_id, file in chosen.itertuples():
        maps = error_maps(scored, int(row))
        name = "/".join([machine, machine_id, *Path(file).parts[-3:]])
        levels[name] = maps["input"].mean(0)
        for bank in (f"{machine}/{machine_id}", machine, "all"):
            errors.setdefault(bank, []).append(maps.get("error", maps["input"]))
    profiles = {}
    for bank, own in errors.items():
        of_bands = np.quantile([error.mean(0) for error in own], QUANTILES, axis=0)
        of_frames = np.quantile(np.concatenate([error.mean(1) for error in own]), QUANTILES)
        joined = np.column_stack([of_bands, of_frames])
        profiles[bank] = torch.from_numpy(joined.astype(np.float32))
    stacked = torch.from_numpy(np.stack(list(levels.values())))  # rows of one take less of a file
    return profiles, dict(zip(levels, stacked, strict=True))
