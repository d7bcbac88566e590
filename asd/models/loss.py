"""What a model is trained on: the reconstruction (U, B), or that and a classification (SS)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from asd.options import check_choice, check_number

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ReconstructionLoss:
    """Mean squared error."""

    classes: ClassVar[None] = None  # no classifier is wanted

    def combine(self, mse: Tensor, cce: Tensor | None) -> Tensor:
        """The loss of these parts, shapes kept."""
        return mse


@dataclass(frozen=True)
class SemiSupervisedLoss:
    """L = alpha MSE + beta CCE, beta = 1 - alpha (eq. 1); ``conf/loss/semi_supervised.yaml``."""

    alpha: float
    classes: str

    def __post_init__(self) -> None:
        check_number("loss.alpha", self.alpha, 0, 1)
        check_choice("loss.classes", self.classes, ("machine", "id"))

    def combine(self, mse: Tensor, cce: Tensor | None) -> Tensor:
        """The loss of these parts, shapes kept."""
        assert cce is not None
        return self.alpha * mse + round(1 - self.alpha, 12) * cce
