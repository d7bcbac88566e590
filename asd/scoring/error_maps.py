"""Where in a clip its error lies, and where that of normal clips does."""

from __future__ import annotations

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
# Of a machine ID, whose errors are looked at: a picture needs no more.
_NORMAL_CLIPS = 50


def error_maps(scored: ScoredClips, row: int) -> dict[str, npt.NDArray[np.float32]]:
    """A clip's input and reconstruction in dB and squared, standardised error: [frames, bands].

    Where windows overlap, frames are means over them. Without a network the input alone.
    """
    index, features, detector = scored.index, scored.features, scored.detector
    starts = index.starts[index.clips == row]
    first, last = int(starts.min()), int(starts.max()) + index.length
    shown = np.array(features.values[first:last], np.float32)
    if not detector.has_network:
        return {"input": shown}
    frames = starts[:, None] - first + np.arange(index.length)
    with torch.inference_mode():
        batch = torch.from_numpy(shown[frames]).to(detector.device)
        target = detector.standardiser(batch).float().cpu().numpy()
        output = detector(batch)[0].float().cpu().numpy()
    sums = np.zeros((2, *shown.shape))
    np.add.at(sums[0], frames, output)
    np.add.at(sums[1], frames, np.square(output - target))
    count = np.bincount(frames.ravel())[:, None]
    std, mean = (x.cpu().numpy() for x in (detector.standardiser.std, detector.standardiser.mean))
    maps = {"input": shown, "reconstruction": sums[0] / count * std + mean}
    maps["error"] = sums[1] / count
    return {name: values.astype(np.float32) for name, values in maps.items()}


def error_profiles(scored: ScoredClips) -> dict[str, Tensor]:
    """``QUANTILES`` over normal clips: [quantiles, bands + 1] float32.

    Of the mean error of each band over a clip, and last of the mean error of a frame; without a
    network of their levels in dB. By machine ID (``fan/00``), type (``fan``) and of ``all``, as
    ``Calibration.normals`` names them.
    """
    table: pd.DataFrame = scored.table[["machine", "id"]]
    chosen = table[table.groupby(["machine", "id"]).cumcount() < _NORMAL_CLIPS]
    bands: dict[str, list[np.ndarray]] = {}
    frames: dict[str, list[np.ndarray]] = {}
    for row, machine, machine_id in chosen.itertuples():
        maps = error_maps(scored, int(row))
        error = maps.get("error", maps["input"])
        for bank in (f"{machine}/{machine_id}", machine, "all"):
            bands.setdefault(bank, []).append(error.mean(0))
            frames.setdefault(bank, []).append(error.mean(1))
    profiles = {}
    for bank, rows in bands.items():
        of_frames = np.quantile(np.concatenate(frames[bank]), QUANTILES)
        joined = np.column_stack([np.quantile(rows, QUANTILES, axis=0), of_frames])
        profiles[bank] = torch.from_numpy(joined.astype(np.float32))
    return profiles
