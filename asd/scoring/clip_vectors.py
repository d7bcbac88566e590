"""What a clip is to a back end: one vector, of its frames or of what the network makes of them.

To add one: a function like these, anywhere, and ``vectors: package.module.function`` in a file of
``conf/scoring/``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from asd.errors import AsdError
from asd.scoring.pooling import Quantile, StandardDeviation
from asd.scoring.vector_files import VectorFiles

if TYPE_CHECKING:
    from torch import Tensor

    from asd.data.windows import Index
    from asd.features.part import Features
    from asd.scoring.pooling import Pooling

# Frames float64 [frames, bands] in dB that the clip's windows cover, and what the network gives of
# these windows, by name: ``embedding`` [windows, size], ``mse`` [windows], ...; nothing without a
# network -> [values], or [n, values] in the order of time, of which ``scoring.pooling`` makes
# [values]. ``asd.export`` takes those that are of operations that ONNX has, as all of these are.
ClipVector = Callable[["Tensor", Mapping[str, "Tensor"]], "Tensor"]


def window_score(frames: Tensor, windows: Mapping[str, Tensor]) -> Tensor:
    """[n, 1] ``scoring.score`` of the windows, or of their frames."""
    return windows["score"].reshape(-1, 1)


def band_statistics(frames: Tensor, windows: Mapping[str, Tensor]) -> Tensor:
    """[2 bands] mean and standard deviation over time of each band, in dB."""
    import torch

    return torch.cat([frames.mean(0), StandardDeviation()(frames)])


def level(frames: Tensor, windows: Mapping[str, Tensor]) -> Tensor:
    """[1] mean power of all bands together in dB: the RMS level, as the front end hears it."""
    return 10 * (10.0 ** (frames / 10)).sum(1).mean(0, keepdim=True).log10()


def spectrum(frames: Tensor, windows: Mapping[str, Tensor]) -> Tensor:
    """[frames, bands] the features themselves."""
    return frames


def embedding(frames: Tensor, windows: Mapping[str, Tensor]) -> Tensor:
    """[windows, size] the bottleneck, or whatever the network calls its embedding."""
    return windows["embedding"]


def residual(frames: Tensor, windows: Mapping[str, Tensor]) -> Tensor:
    """[frames of all windows, bands] reconstruction minus what it should be, standardised."""
    return windows["residual"].flatten(0, 1)


def error_statistics(frames: Tensor, windows: Mapping[str, Tensor]) -> Tensor:
    """[3] median and standard deviation of the windows' mean squared errors (two or more), and the
    standard deviation over time of the level of the frames, in dB.
    """
    import torch

    errors, deviation = windows["mse"].double(), StandardDeviation()
    if errors.shape[0] == 1:
        raise AsdError("scoring.vectors=error_statistics: each clip has one window; window=tiles")
    levels = 10 * (10.0 ** (frames / 10)).sum(1).log10()
    return torch.stack([Quantile(0.5)(errors), deviation(errors), deviation(levels)])


CLIP_VECTORS: dict[str, ClipVector] = {
    "band_statistics": band_statistics, "level": level, "spectrum": spectrum,
    "embedding": embedding, "residual": residual, "error_statistics": error_statistics,
}  # fmt: skip
#: Those that need a network.
OF_NETWORK = ("embedding", "residual", "error_statistics")
OF_DECIBELS = ("band_statistics", "level", "spectrum", "error_statistics")  # of features in dB
#: Those that are vectors already, and not pooled.
POOLED = ("band_statistics", "level", "error_statistics")


def vectors_of_clips(
    function: ClipVector | VectorFiles, pooling: Pooling, features: Features, index: Index,
    windows: Mapping[str, Tensor], names: Sequence[str],
) -> np.ndarray:  # fmt: skip
    """[clips, values] in float64 of all clips with windows in ``index``, in order; of one size.

    Args:
        features, names: of these clips, and of others maybe.
        windows: what the network gives of their windows, [windows, ...]; empty without one.
    """
    import torch

    rows: list[np.ndarray] = []
    clips, firsts, counts = np.unique(index.clips, return_index=True, return_counts=True)
    for clip, first, count in zip(clips, firsts, counts, strict=True):
        own = slice(first, first + count)
        if isinstance(function, VectorFiles):
            made = torch.from_numpy(function.of_clip(names[clip]))
        else:
            starts = index.starts[own]
            frames = features.values[starts[0] : starts[-1] + index.length].astype(np.float64)
            of_clip = {name: values[own] for name, values in windows.items()}
            made = function(torch.from_numpy(frames), of_clip)
        rows.append(pooled(made, pooling).numpy())
        if len(rows[-1]) != len(rows[0]):
            sizes = f"{len(rows[0])} values, that of other clips {len(rows[-1])}"
            raise AsdError(f"{names[clips[0]]}: its vector has {sizes}")
    return np.stack(rows)


def pooled(values: Tensor, pooling: Pooling) -> Tensor:
    """What a ``ClipVector`` gives -> [values] in float64."""
    return pooling(values.double()) if values.ndim > 1 else values.double()
