"""What is drawn of a run: the options, and what pictures need of clips, taken while they score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from asd.options import check_choice, check_whole
from asd.pictures.model_files import COLUMNS, Embeddings, Example, Floats

if TYPE_CHECKING:
    import pandas as pd

    from asd.models.detector import Detector
    from asd.scoring.score import ScoredClips

_WINDOWS = 512  # that go through the network at a time
KINDS = ("roc", "scores", "training", "embedding", "clips")
PROJECTIONS = ("pca", "tsne")


@dataclass(frozen=True)
class PictureOptions:
    """The config group ``pictures``. Cannot change a result.

    Args:
        enabled: false: no pictures, and no files for them.
        in_sweeps: of ``KINDS``, those that are drawn at the end of a run of a sweep.
        anomalous: how many of the highest-scoring clips of a machine type are shown.
        embedding_clips: of a machine type and label, at most so many are kept of the bottleneck.
        projection: of the bottleneck to two dimensions: ``pca`` or ``tsne``.
        seed: of t-SNE.
    """

    enabled: bool
    in_sweeps: Sequence[str]
    anomalous: int
    embedding_clips: int
    projection: str
    seed: int

    def __post_init__(self) -> None:
        check_choice("pictures.enabled", self.enabled, (True, False))
        for kind in self.in_sweeps:
            check_choice("pictures.in_sweeps", kind, KINDS)
        check_whole("pictures.anomalous", self.anomalous, 0)
        check_whole("pictures.embedding_clips", self.embedding_clips, 0)
        check_choice("pictures.projection", self.projection, PROJECTIONS)
        check_whole("pictures.seed", self.seed, 0, 2**32 - 1)

    @classmethod
    def configured(cls, **changes: Any) -> PictureOptions:
        """What ``conf/pictures/default.yaml`` says but for these, where no config is composed."""
        import yaml

        from asd.composition import folder_of

        options = yaml.safe_load((folder_of("conf") / "pictures" / "default.yaml").read_text())
        return cls(**{k: v for k, v in {**options, **changes}.items() if k != "_target_"})


def examples(scored: ScoredClips, anomalous: int) -> list[Example]:
    """Input, reconstruction and error of a few clips; see ``chosen``."""
    return [_example(scored, role, row) for role, row in chosen(scored.table, anomalous)]


def embeddings(scored: ScoredClips, limit: int) -> list[Embeddings]:
    """The bottleneck of many clips, the mean over each one's windows; see ``thinned``."""
    import pandas as pd

    rows = thinned(scored.table, limit)
    wanted = np.isin(scored.index.clips, rows)
    if not wanted.any():
        return []
    windows = pd.DataFrame(np.asarray(scored.embeddings)[wanted])
    values = windows.groupby(scored.index.clips[wanted]).mean().to_numpy(np.float32)
    return [Embeddings(values, scored.table.iloc[rows][COLUMNS])]


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
    median = (role, int(by_score[(len(by_score) - 1) // 2]))
    top = np.argsort(-values, kind="stable")[:anomalous]
    return [median, *(("most anomalous", int(row)) for row in top)]


def thinned(scores: pd.DataFrame, limit: int) -> npt.NDArray[np.int64]:
    """Rows to keep: at most ``limit`` of a machine type and label, evenly spaced, ascending."""
    kept: list[int] = []
    for rows in scores.groupby(["machine", "label"], sort=True).indices.values():
        places = np.linspace(0, len(rows) - 1, min(limit, len(rows))).round().astype(int)
        kept += np.asarray(rows)[places].tolist()
    return np.array(sorted(kept), dtype=np.int64)


def _example(scored: ScoredClips, role: str, row: int) -> Example:
    """One clip through the network; where windows overlap, frames are means over them."""
    index, features, standardiser = scored.index, scored.features, scored.detector.standardiser
    starts = index.starts[index.clips == row]
    first, last = int(starts.min()), int(starts.max()) + index.length
    shown = np.array(features.values[first:last], np.float32)
    sums = np.zeros((2, *shown.shape))
    count = np.zeros((len(shown), 1))
    for begin in range(0, len(starts), _WINDOWS):
        frames = starts[begin : begin + _WINDOWS, None] + np.arange(index.length)
        output, target = _forward(scored.detector, np.array(features.values[frames], np.float32))
        np.add.at(sums[0], frames - first, output)
        np.add.at(sums[1], frames - first, np.square(output - target))
        np.add.at(count, frames - first, 1)
    std, mean = (x.cpu().numpy() for x in (standardiser.std, standardiser.mean))
    clip = scored.table.iloc[row]
    return Example(
        role, str(clip["machine"]), str(clip["id"]), str(clip["file"]), int(clip["label"]),
        float(clip["score"]), shown,
        (sums[0] / count * std + mean).astype(np.float32), (sums[1] / count).astype(np.float32),
    )  # fmt: skip


def _forward(detector: Detector, windows: Floats) -> tuple[Floats, Floats]:
    """Reconstruction and target of [windows, frames, bands], in the standardised domain."""
    import torch

    with torch.inference_mode():
        batch = torch.from_numpy(windows).to(next(detector.parameters()).device)
        output, _ = detector(batch)
        target = detector.standardiser(batch)
    return output.float().cpu().numpy(), target.float().cpu().numpy()
