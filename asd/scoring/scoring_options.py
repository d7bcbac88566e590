"""The config group ``scoring``, checked without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from asd.composition import build, function_of
from asd.errors import AsdError
from asd.options import check_choice, check_number, check_whole
from asd.scoring.clip_vectors import CLIP_VECTORS, POOLED
from asd.scoring.pooling import Mean
from asd.scoring.window_scores import WINDOW_SCORES


@dataclass(frozen=True)
class ScoringOptions:
    """See ``conf/scoring/mse.yaml``; ``AsdError`` names one that cannot be."""

    score: str | None
    vectors: str | Mapping[str, Any] | None
    back_end: Mapping[str, Any] | None
    bank: str | None
    max_fpr: float
    batch_frames: int
    pooling: Mapping[str, Any]
    per_id: bool

    def __post_init__(self) -> None:
        if (self.score is None) == (self.vectors is None):
            raise AsdError("scoring.score, scoring.vectors: one of them must be null, one not")
        if self.score is not None and "." not in str(self.score):
            check_choice("scoring.score", self.score, tuple(WINDOW_SCORES))
        if isinstance(self.vectors, Mapping):
            build(self.vectors, "scoring.vectors")
        elif self.vectors is not None and "." not in str(self.vectors):
            check_choice("scoring.vectors", self.vectors, tuple(CLIP_VECTORS))
        if self.back_end is not None:
            if self.vectors is None:
                raise AsdError("scoring.back_end: needs scoring.vectors, and scoring.score=null")
            check_choice("scoring.bank", self.bank, ("id", "machine", "all"))
            build(self.back_end, "scoring.back_end")
        if build(self.pooling, "scoring.pooling") != Mean() and self.vectors in POOLED:
            raise AsdError(f"scoring.pooling: no use with {self.vectors}, which is pooled already")
        check_choice("scoring.per_id", self.per_id, (True, False))
        check_number("scoring.max_fpr", self.max_fpr, 0, 1, above=True)
        check_whole("scoring.batch_frames", self.batch_frames, 1)

    def function(self) -> Any:
        """What ``score`` (a ``WindowScore``) or ``vectors`` (a ``ClipVector``, files) names."""
        if self.score is not None:
            return function_of(self.score, "scoring.score", WINDOW_SCORES)
        if isinstance(self.vectors, Mapping):
            return build(self.vectors, "scoring.vectors")
        return function_of(str(self.vectors), "scoring.vectors", CLIP_VECTORS)
