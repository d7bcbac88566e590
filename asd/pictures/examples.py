"""What pictures need of a trained model, kept as files when its clips are scored.

``examples.npz``: input, reconstruction and error of a few clips. ``embeddings.npz``: the bottleneck
of many. With these the pictures need neither the model nor the audio.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from asd.errors import AsdError
from asd.pictures.model_files import (
    EMBEDDINGS,
    EXAMPLES,
    TEXTS,
    Embeddings,
    Example,
    Examples,
    Floats,
    write_embeddings,
    write_examples,
)

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from asd.data.windows import Index
    from asd.features import Features
    from asd.frontends.frontend import FrontEnd
    from asd.models.detector import Detector

PROJECTIONS = ("pca", "tsne")
KINDS = ("roc", "scores", "training", "embedding", "clips")
_WINDOWS = 512  # that go through the network at a time


@dataclass(frozen=True)
class PictureOptions:
    """What is drawn of a run. Cannot change a result.

    Args:
        enabled: false: no pictures, and no files for them.
        in_sweeps: of ``KINDS``, those that are drawn at the end of a run of a sweep.
        anomalous: how many of the highest-scoring clips of a machine type are shown.
        embedding_clips: of a machine type and label, at most so many are kept of the bottleneck.
        projection: of the bottleneck to two dimensions: ``pca`` or ``tsne``.
        seed: of t-SNE.
    """

    enabled: bool = True
    in_sweeps: Sequence[str] = ("roc", "scores", "training")
    anomalous: int = 1
    embedding_clips: int = 100
    projection: str = "pca"
    seed: int = 0

    def __post_init__(self) -> None:
        for option, least in (("anomalous", 0), ("embedding_clips", 0)):
            value = getattr(self, option)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise AsdError(
                    f"pictures.{option}={value}: must be a whole number, {least} or more"
                )
        for kind in self.in_sweeps:
            if kind not in KINDS:
                raise AsdError(f"pictures.in_sweeps: {kind!r} is none of {', '.join(KINDS)}")
        if self.projection not in PROJECTIONS:
            raise AsdError(
                f"pictures.projection={self.projection}: must be one of {', '.join(PROJECTIONS)}"
            )


@dataclass
class Gallery:
    """Collects while clips are scored what the pictures of a model need.

    Args:
        detector: trained; its device is used.
        frontend: gives the axes.
        options: what to keep.
    """

    detector: Detector
    frontend: FrontEnd
    options: PictureOptions = field(default_factory=PictureOptions)
    _examples: list[Example] = field(default_factory=list, repr=False)
    _embeddings: list[Embeddings] = field(default_factory=list, repr=False)

    def add(
        self,
        features: Features,
        index: Index,
        scores: pd.DataFrame,
        embeddings: Tensor,
    ) -> None:
        """Keep what is needed of one machine type's clips.

        Args:
            features, index: as ``asd.scoring.score.score_clips`` took them.
            scores, embeddings: what it returned.
        """
        if not self.options.enabled:
            return
        for role, row in chosen(scores, self.options.anomalous):
            self._examples.append(_example(self.detector, features, index, scores, role, row))
        rows = thinned(scores, self.options.embedding_clips)
        if len(rows):
            values = _of_clips(embeddings, index, rows)
            kept = scores.iloc[rows][list(TEXTS)].reset_index(drop=True)
            self._embeddings.append(Embeddings(values, kept))

    def save(self, folder: Path) -> list[Path]:
        """Write ``examples.npz`` and ``embeddings.npz``; nothing where nothing was kept.

        Raises:
            AsdError: the disk is full, or the folder cannot be written.
        """
        import pandas as pd

        files = []
        if self._examples:
            centre = np.asarray(self.frontend.centre_frequencies(), dtype=np.float64)
            kept = Examples(centre, float(self.frontend.hop_seconds), self._examples)
            files.append(write_examples(folder / EXAMPLES, kept))
        if self._embeddings:
            values = np.concatenate([e.values for e in self._embeddings])
            table = pd.concat([e.clips for e in self._embeddings], ignore_index=True)
            files.append(write_embeddings(folder / EMBEDDINGS, Embeddings(values, table)))
        return files


def chosen(scores: pd.DataFrame, anomalous: int) -> list[tuple[str, int]]:
    """(role, row) of the clips to show: the median normal, then those of the highest scores.

    Where no clip is known to be normal, the median of all stands for it.
    """
    if not len(scores):
        return []
    values, labels = scores["score"].to_numpy(), scores["label"].to_numpy()
    normal = np.flatnonzero(labels == 0)
    role = "median normal" if len(normal) else "median"
    among = normal if len(normal) else np.arange(len(values))
    by_score = among[np.argsort(values[among], kind="stable")]
    found = [(role, int(by_score[(len(by_score) - 1) // 2]))]
    top = np.argsort(-values, kind="stable")[:anomalous]
    return found + [("most anomalous", int(row)) for row in top]


def thinned(scores: pd.DataFrame, limit: int) -> npt.NDArray[np.int64]:
    """Rows to keep: at most ``limit`` of a machine type and label, evenly spaced, ascending."""
    kept: list[int] = []
    for rows in scores.groupby(["machine", "label"], sort=True).indices.values():
        places = np.linspace(0, len(rows) - 1, min(limit, len(rows))).round().astype(int)
        kept += np.asarray(rows)[places].tolist()
    return np.array(sorted(kept), dtype=np.int64)


def _example(
    detector: Detector, features: Features, index: Index, scores: pd.DataFrame, role: str, row: int
) -> Example:
    """One clip through the network; where windows overlap, frames are means over them."""
    values, starts = _windows(features, index, row)
    first = int(starts.min())
    span = int(starts.max()) + index.length - first
    sums = np.zeros((2, span, values.shape[2]))
    count = np.zeros((span, 1))
    for begin in range(0, len(starts), _WINDOWS):
        output, _, target = _forward(detector, values[begin : begin + _WINDOWS])
        squared = np.square(output - target)
        for start, one, error in zip(starts[begin:], output, squared, strict=False):
            at = slice(start - first, start - first + index.length)
            sums[0, at] += one
            sums[1, at] += error
            count[at] += 1
    ends = np.cumsum(features.frames)
    offset = int(ends[row] - features.frames[row])
    shown = np.array(features.values[offset : ends[row]])[first - offset :][:span]
    std = detector.standardiser.std.cpu().numpy()
    mean = detector.standardiser.mean.cpu().numpy()
    clip = scores.iloc[row]
    return Example(
        role, str(clip["machine"]), str(clip["id"]), str(clip["file"]), int(clip["label"]),
        float(clip["score"]), shown.astype(np.float32),
        (sums[0] / count * std + mean).astype(np.float32), (sums[1] / count).astype(np.float32),
    )  # fmt: skip


def _of_clips(embeddings: Tensor, index: Index, rows: npt.NDArray[np.int64]) -> Floats:
    """[rows, dimensions] the bottleneck, mean over a clip's windows, of all windows in order."""
    windows = embeddings.numpy()
    sums = np.zeros((len(rows), windows.shape[1]))
    place = np.full(int(index.clips.max()) + 1, -1)
    place[rows] = np.arange(len(rows))
    wanted = place[index.clips] >= 0
    np.add.at(sums, place[index.clips[wanted]], windows[wanted])
    counts = np.bincount(index.clips, minlength=len(place))[rows]
    return np.asarray(sums / counts[:, None], dtype=np.float32)


def _windows(features: Features, index: Index, row: int) -> tuple[Floats, npt.NDArray[np.int64]]:
    """[windows, frames, bands] of one clip, and where they begin."""
    starts = index.starts[index.clips == row]
    return np.array([features.values[s : s + index.length] for s in starts], np.float32), starts


def _forward(detector: Detector, values: Floats) -> tuple[Floats, Floats, Floats]:
    """Reconstruction, embeddings and target, the first and last in the standardised domain."""
    import torch

    with torch.inference_mode():
        batch = torch.from_numpy(values).to(detector.device)
        output, embedding = detector(batch)
        target = detector.standardiser(batch)
    return tuple(x.float().cpu().numpy() for x in (output, embedding, target))  # type: ignore[return-value]
