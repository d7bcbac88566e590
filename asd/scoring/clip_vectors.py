"""What a clip is to a back end: one vector, of its frames or of what the network makes of them.

To add one: a function like these, anywhere, and ``vectors: package.module.function`` in a file of
``conf/scoring/``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from asd.data.windows import Index
    from asd.features import Features

# Frames [frames, bands] in dB that the clip's windows cover, and the bottleneck [windows, size] of
# these windows, None without a network -> [values].
ClipVector = Callable[[np.ndarray, np.ndarray | None], np.ndarray]


def band_statistics(frames: np.ndarray, embeddings: np.ndarray | None) -> np.ndarray:
    """[2 bands] mean and standard deviation over time of each band, in dB."""
    return np.append(frames.mean(0, np.float64), frames.std(0, np.float64))


def level(frames: np.ndarray, embeddings: np.ndarray | None) -> np.ndarray:
    """[1] mean power of all bands together in dB: the RMS level, as the front end hears it."""
    power = np.power(10.0, frames.astype(np.float64) / 10).sum(1)
    return np.asarray(10 * np.log10(power.mean(keepdims=True)))


def embedding(frames: np.ndarray, embeddings: np.ndarray | None) -> np.ndarray:
    """[size] the bottleneck, mean over the clip's windows."""
    assert embeddings is not None
    return np.asarray(embeddings.mean(0, np.float64))


CLIP_VECTORS: dict[str, ClipVector] = {
    "band_statistics": band_statistics, "level": level, "embedding": embedding,
}  # fmt: skip
#: Those that need a network.
OF_NETWORK = ("embedding",)


def vectors_of_clips(
    function: ClipVector, features: Features, index: Index, embeddings: Tensor | None
) -> np.ndarray:
    """[clips, values] in float64 of all clips that have windows, in order.

    Args:
        function: gives the vector of one.
        features: of these clips, and of others maybe.
        index: their windows.
        embeddings: [windows, size], or None.
    """
    rows = []
    _, firsts, counts = np.unique(index.clips, return_index=True, return_counts=True)
    for first, count in zip(firsts, counts, strict=True):
        own = slice(first, first + count)
        starts = index.starts[own]
        frames = features.values[starts[0] : starts[-1] + index.length]
        rows.append(function(frames, None if embeddings is None else embeddings[own].numpy()))
    return np.stack(rows).astype(np.float64)
