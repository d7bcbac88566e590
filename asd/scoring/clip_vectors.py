"""What a clip is to a back end: one vector, of its frames or of what the network makes of them.

To add one: a function like these, anywhere, and ``vectors: package.module.function`` in a file of
``conf/scoring/``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from asd.errors import AsdError
from asd.scoring.vector_files import VectorFiles

if TYPE_CHECKING:
    from torch import Tensor

    from asd.data.windows import Index
    from asd.features import Features
    from asd.scoring.pooling import Pooling

# Frames [frames, bands] in dB that the clip's windows cover, and what the network gives of these
# windows, by name: ``embedding`` [windows, size], ``mse`` [windows], ...; nothing without a network
# -> [values], or [n, values] in the order of time, of which ``scoring.pooling`` makes [values].
ClipVector = Callable[[np.ndarray, Mapping[str, np.ndarray]], np.ndarray]


def window_score(frames: np.ndarray, windows: Mapping[str, np.ndarray]) -> np.ndarray:
    """[n, 1] ``scoring.score`` of the windows, or of their frames."""
    return windows["score"].reshape(-1, 1)


def band_statistics(frames: np.ndarray, windows: Mapping[str, np.ndarray]) -> np.ndarray:
    """[2 bands] mean and standard deviation over time of each band, in dB."""
    return np.append(frames.mean(0, np.float64), frames.std(0, np.float64))


def level(frames: np.ndarray, windows: Mapping[str, np.ndarray]) -> np.ndarray:
    """[1] mean power of all bands together in dB: the RMS level, as the front end hears it."""
    power = np.power(10.0, frames.astype(np.float64) / 10).sum(1)
    return np.asarray(10 * np.log10(power.mean(keepdims=True)))


def spectrum(frames: np.ndarray, windows: Mapping[str, np.ndarray]) -> np.ndarray:
    """[frames, bands] the features themselves."""
    return frames


def embedding(frames: np.ndarray, windows: Mapping[str, np.ndarray]) -> np.ndarray:
    """[windows, size] the bottleneck, or whatever the network calls its embedding."""
    return windows["embedding"]


def residual(frames: np.ndarray, windows: Mapping[str, np.ndarray]) -> np.ndarray:
    """[frames of all windows, bands] reconstruction minus what it should be, standardised."""
    return windows["residual"].reshape(-1, windows["residual"].shape[-1])


def error_statistics(frames: np.ndarray, windows: Mapping[str, np.ndarray]) -> np.ndarray:
    """[3] median and standard deviation of the windows' mean squared errors, and the standard
    deviation over time of the level of the frames, in dB.

    Raises:
        AsdError: there is one window only.
    """
    errors = windows["mse"].astype(np.float64)
    if len(errors) == 1:
        raise AsdError("scoring.vectors=error_statistics: each clip has one window; window=tiles")
    levels = 10 * np.log10(np.power(10.0, frames / 10.0).sum(1))
    return np.array([np.median(errors), errors.std(), levels.std()])


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
    function: ClipVector | VectorFiles,
    pooling: Pooling,
    features: Features,
    index: Index,
    windows: Mapping[str, Tensor],
    names: Sequence[str],
) -> np.ndarray:
    """[clips, values] in float64 of all clips that have windows in ``index``, in order.

    Args:
        function: gives the vector of one, or values to be pooled.
        pooling: what makes one of several.
        features, names: of these clips, and of others maybe.
        index: their windows.
        windows: what the network gives of these, [windows, ...]; empty without one.

    Raises:
        AsdError: vectors are of different sizes.
    """
    import torch

    rows: list[np.ndarray] = []
    _, firsts, counts = np.unique(index.clips, return_index=True, return_counts=True)
    for first, count in zip(firsts, counts, strict=True):
        own = slice(first, first + count)
        starts = index.starts[own]
        frames = features.values[starts[0] : starts[-1] + index.length]
        if isinstance(function, VectorFiles):
            made = function.of_clip(names[index.clips[first]])
        else:
            made = function(frames, {name: values[own].numpy() for name, values in windows.items()})
        if made.ndim > 1:
            made = pooling(torch.from_numpy(made).double()).numpy()
        if rows and made.shape != rows[0].shape:
            sizes = f"{len(rows[0])} values, that of other clips {len(made)}"
            raise AsdError(f"{names[index.clips[firsts[0]]]}: its vector has {sizes}")
        rows.append(made)
    return np.stack(rows).astype(np.float64)
