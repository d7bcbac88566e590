"""Back ends that take vectors of normal clips for Gaussian: see ``asd.scoring.back_ends``."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from asd.errors import AsdError
from asd.options import check_number, check_whole
from asd.scoring.back_ends import State

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Mahalanobis:
    """Squared Mahalanobis distance from the mean of the fitted vectors.

    ``regularisation`` is added to each variance, in squared units of the vectors.
    """

    regularisation: float

    def __post_init__(self) -> None:
        check_number("scoring.back_end.regularisation", self.regularisation, 0)

    def fit(self, vectors: np.ndarray) -> State:
        """See ``BackEnd``."""
        _warn_of_few(vectors)
        mean = vectors.mean(0)
        covariance = (vectors - mean).T @ (vectors - mean) / len(vectors)
        return {"mean": mean, "root": _root(covariance, self.regularisation)}

    def scores(self, state: Mapping[str, Tensor], vectors: Tensor) -> Tensor:
        """See ``BackEnd``."""
        return _squares(vectors - state["mean"], state["root"])


class SelectiveMahalanobis(Mahalanobis):
    """Squared Mahalanobis length of a clip's mean residual: the DCASE baselines of 2023 and after.

    The mean of the matrix D S^-1 D^T of all pairs of a clip's frames, which their
    ``loss_function_mahala`` gives, is d S^-1 d: d the clip's mean residual, S the covariance of
    those of all frames of the bank's training clips. (Theirs is centred by batch and has another
    factor, which no rank depends on; of their domains, source and target, there is one here.)

    Vectors are of ``asd.scoring.pooling.Moments``: mean and second moment of each clip.
    """

    def fit(self, vectors: np.ndarray) -> State:
        """See ``BackEnd``."""
        means = self._means(vectors)
        mean, size = means.mean(0), means.shape[1]
        second = vectors[:, size:].mean(0).reshape(size, size)
        return {"root": _root(second - np.outer(mean, mean), self.regularisation)}

    def scores(self, state: Mapping[str, Tensor], vectors: Tensor) -> Tensor:
        """See ``BackEnd``."""
        return _squares(self._means(vectors), state["root"])

    @staticmethod
    def _means(vectors: Any) -> Any:
        size = math.isqrt(vectors.shape[1])
        if size * (size + 1) != vectors.shape[1]:
            raise AsdError("scoring.back_end: selective Mahalanobis needs scoring/pooling=moments")
        return vectors[:, :size]


@dataclass(frozen=True)
class GaussianMixtureModel:
    """Negative log-likelihood under a mixture of full covariances: ``conf/scoring/gmm.yaml``."""

    components: int
    tolerance: float
    regularisation: float
    max_iterations: int
    seed: int

    def __post_init__(self) -> None:
        for name, low in (("components", 1), ("max_iterations", 1), ("seed", 0)):
            check_whole(f"scoring.back_end.{name}", getattr(self, name), low)
        check_number("scoring.back_end.tolerance", self.tolerance, 0, above=True)
        check_number("scoring.back_end.regularisation", self.regularisation, 0)

    def fit(self, vectors: np.ndarray) -> State:
        """See ``BackEnd``."""
        from sklearn.mixture import GaussianMixture

        _warn_of_few(vectors)
        given: dict[str, Any] = {"max_iter": self.max_iterations, "random_state": self.seed}
        given |= {"tol": self.tolerance, "reg_covar": self.regularisation}
        model = GaussianMixture(self.components, **given)
        try:
            with warnings.catch_warnings(action="ignore"):  # of what is refused below
                model.fit(vectors)
        except ValueError as error:  # too few clips, a singular covariance
            raise AsdError(f"scoring.back_end: {str(error).splitlines()[0]}") from error
        if not model.converged_:
            text = "the mixture has not converged; raise it, or tolerance"
            raise AsdError(f"scoring.back_end.max_iterations={self.max_iterations}: {text}")
        roots = model.precisions_cholesky_
        return {"weights": model.weights_, "means": model.means_, "roots": roots}

    def scores(self, state: Mapping[str, Tensor], vectors: Tensor) -> Tensor:
        """See ``BackEnd``."""
        import torch

        logs = state["weights"].log()[:, None] - len(state["means"][0]) / 2 * math.log(2 * math.pi)
        logs = logs + state["roots"].diagonal(dim1=1, dim2=2).log().sum(1, keepdim=True)
        pairs = zip(state["means"], state["roots"], strict=True)
        squares = torch.stack([_squares(vectors - mean, root) for mean, root in pairs])
        return -torch.logsumexp(logs - squares / 2, 0)


def _warn_of_few(vectors: np.ndarray) -> None:
    if vectors.shape[0] <= vectors.shape[1]:
        text = "%d training clips for %d values: scoring.back_end.regularisation decides much"
        log.warning(text, *vectors.shape)


def _root(covariance: np.ndarray, regularisation: float) -> np.ndarray:
    """R with R R^T the inverse of the covariance; ``AsdError`` where it has none."""
    regular = covariance + regularisation * np.eye(len(covariance))
    try:
        return np.asarray(np.linalg.inv(np.linalg.cholesky(regular)).T)
    except np.linalg.LinAlgError as error:
        text = "the covariance of the training clips has no inverse; raise it"
        raise AsdError(f"scoring.back_end.regularisation={regularisation}: {text}") from error


def _squares(vectors: Tensor, root: Tensor) -> Tensor:
    """[clips] squared lengths in the metric of ``_root``."""
    return (vectors @ root).square().sum(1)
