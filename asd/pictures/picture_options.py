"""What is drawn of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from asd.options import check_choice, check_whole

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
