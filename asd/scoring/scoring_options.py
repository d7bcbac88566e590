"""The config group ``scoring``, checked without torch."""

from __future__ import annotations

from dataclasses import dataclass

from asd.options import check_choice, check_whole
from asd.scoring.roc import check_max_fpr
from asd.scoring.window_scores import WINDOW_SCORES


@dataclass(frozen=True)
class ScoringOptions:
    """See ``conf/scoring/mse.yaml``, whose names these are.

    Args:
        score: of ``asd.scoring.window_scores``, or the dotted name of a function like those.
        max_fpr: p of the partial AUC.
        batch_frames: of a batch: as many windows as have so many frames, at least one.
        form: ``auto``: batch norms are folded into the layers before them; ``plain``: as trained.

    Raises:
        AsdError: a value that cannot be; names the option.
    """

    score: str
    max_fpr: float
    batch_frames: int
    form: str

    def __post_init__(self) -> None:
        if "." not in str(self.score):
            check_choice("scoring.score", self.score, tuple(WINDOW_SCORES))
        check_max_fpr(self.max_fpr)
        check_whole("scoring.batch_frames", self.batch_frames, 1)
        check_choice("scoring.form", self.form, ("auto", "plain"))
