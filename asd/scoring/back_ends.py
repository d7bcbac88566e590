"""Back ends: how far a clip's vector is from those of normal training clips.

To add one: a frozen dataclass like ``NearestNeighbours``, anywhere, and ``back_end._target_`` in a
file of ``conf/scoring/``. It knows nothing of machines: ``asd.scoring.banks`` fits it to each group
of clips apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from asd.errors import AsdError
from asd.options import check_choice, check_whole

# What a fit learns, by name; it travels in ``model.ckpt``.
State = dict[str, np.ndarray]


class BackEnd(Protocol):
    """Fitted to vectors of normal clips, it scores others."""

    def fit(self, vectors: np.ndarray) -> State:
        """What is learnt of these vectors, float64 [clips, values].

        Raises:
            AsdError: they are too few.
        """

    def scores(self, state: State, vectors: np.ndarray) -> np.ndarray:
        """[clips] anomaly scores of vectors, float64 [clips, values]; higher is stranger."""


@dataclass(frozen=True)
class Interquartile:
    """Not of vectors but of scores, [clips, 1]: by how many interquartile ranges above the median.

    With it the scores of all machine IDs have one scale: AUC within an ID stays what it is.
    """

    def fit(self, vectors: np.ndarray) -> State:
        """See ``BackEnd``."""
        low, median, high = np.quantile(vectors[:, 0], (0.25, 0.5, 0.75))
        if not high > low:
            raise AsdError(
                f"scoring.per_id: {len(vectors)} validation clips, whose scores have no spread; "
                "raise trainer.validation_fraction, or add training clips"
            )
        return {"median": np.array(median), "range": np.array(high - low)}

    def scores(self, state: State, vectors: np.ndarray) -> np.ndarray:
        """See ``BackEnd``."""
        return (vectors[:, 0] - state["median"]) / state["range"]


@dataclass(frozen=True)
class NearestNeighbours:
    """Mean distance to the ``k`` nearest vectors.

    Args:
        k: how many.
        metric: ``euclidean`` or ``cosine``.
        standardise: first bring each value to zero mean and unit variance over the vectors that
            are fitted; one that is constant there is only centred.
    """

    k: int
    metric: str
    standardise: bool

    def __post_init__(self) -> None:
        check_whole("scoring.back_end.k", self.k, 1)
        check_choice("scoring.back_end.metric", self.metric, ("euclidean", "cosine"))
        check_choice("scoring.back_end.standardise", self.standardise, (True, False))

    def fit(self, vectors: np.ndarray) -> State:
        """Keep them; see ``BackEnd``."""
        if len(vectors) < self.k:
            raise AsdError(
                f"scoring.back_end.k={self.k}: there are only {len(vectors)} training clips"
            )
        mean, std = np.zeros(vectors.shape[1]), np.ones(vectors.shape[1])
        if self.standardise:
            mean, std = vectors.mean(0), vectors.std(0)
            # Rounding makes the deviation of a constant tiny rather than 0.
            std[std <= 1e-9 * np.maximum(1.0, np.abs(mean))] = 1.0
        return {"mean": mean, "std": std, "vectors": (vectors - mean) / std}

    def scores(self, state: State, vectors: np.ndarray) -> np.ndarray:
        """See ``BackEnd``."""
        # Distances as written, not by the faster |x|² - 2xy + |y|², whose rounding differs with
        # the clips that are scored together.
        from scipy.spatial.distance import cdist

        standardised = (vectors - state["mean"]) / state["std"]
        distances = cdist(standardised, state["vectors"], self.metric)
        return np.asarray(np.partition(distances, self.k - 1)[:, : self.k].mean(1))
