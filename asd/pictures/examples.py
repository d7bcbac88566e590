"""What is drawn of a run: the options, and what pictures need of clips, taken while they score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from asd.composition import build, folder_of
from asd.options import check_choice, check_whole

if TYPE_CHECKING:
    import pandas as pd

    from asd.scoring.scorer import ScoredClips

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
        from omegaconf import OmegaConf

        default = OmegaConf.load(folder_of("conf") / "pictures" / "default.yaml")
        options: PictureOptions = build(OmegaConf.merge(default, changes), "pictures")
        return options


def chosen(scores: pd.DataFrame, anomalous: int) -> list[tuple[str, int]]:
    """(role, row) of the clips to show: the median normal, then those of the highest scores.

    Where no clip is known to be normal, the median of all stands for it.
    """
    if scores.empty:
        return []
    scores = scores.reset_index(drop=True)
    normal = scores[scores["label"] == 0]["score"]
    role, among = ("median normal", normal) if len(normal) else ("median", scores["score"])
    median = among.sort_values(kind="stable").index[(len(among) - 1) // 2]
    top = scores["score"].sort_values(kind="stable", ascending=False).index[:anomalous]
    return [(role, int(median)), *(("most anomalous", int(row)) for row in top)]


def thinned(scores: pd.DataFrame, limit: int) -> npt.NDArray[np.int64]:
    """Rows to keep: at most ``limit`` of a machine type and label, evenly spaced, ascending."""
    groups = scores.groupby(["machine", "label"]).indices.values()
    ends = [np.linspace(0, len(rows) - 1, min(limit, len(rows))) for rows in groups]
    kept = [rows[at.round().astype(int)] for rows, at in zip(groups, ends, strict=True)]
    return np.sort(np.concatenate([[], *kept])).astype(np.int64)


def bottleneck(scored: ScoredClips, rows: npt.NDArray[np.int64]) -> list[npt.NDArray[np.float32]]:
    """Of each row [dimensions]: the mean over the clip's windows; there is a network."""
    windows, clips = np.asarray(scored.embeddings), scored.index.clips
    return [windows[clips == row].mean(0) for row in rows]
