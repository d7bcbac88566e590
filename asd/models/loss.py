"""Objectives, the config group ``loss``: what a network is trained on.

Reconstruction (U, B, IDNN), that and a classification (SS), classification alone (sub-cluster
AdaCos, ArcFace, plain), outlier exposure. docs/architecture.md has the contract.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from asd.errors import AsdError
from asd.options import check_choice, check_number, check_whole

if TYPE_CHECKING:
    from torch import Tensor

    from asd.models.heads import Head

CLASSES = ("machine", "id")


class Objective:
    """What ours share; one from outside needs ``classes`` and ``combine`` alone."""

    reconstructs: ClassVar[bool] = True

    def head(self, size: int, classes: Sequence[str]) -> Head:
        """What goes on the embedding: a dense layer."""
        from asd.models.heads import SoftmaxHead

        return SoftmaxHead(size, len(classes))

    def combine(self, mse: Tensor, cce: Tensor) -> Tensor:
        """The loss of these parts, shapes kept; of what is not asked for there is None."""
        return mse if self.reconstructs else cce


@dataclass(frozen=True)
class ReconstructionLoss(Objective):
    """Mean squared error."""

    classes: ClassVar[None] = None  # no classifier is wanted


@dataclass(frozen=True)
class SemiSupervisedLoss(Objective):
    """L = alpha MSE + beta CCE, beta = 1 - alpha (eq. 1); ``conf/loss/semi_supervised.yaml``."""

    alpha: float
    classes: str

    def __post_init__(self) -> None:
        check_number("loss.alpha", self.alpha, 0, 1)
        check_choice("loss.classes", self.classes, CLASSES)

    def combine(self, mse: Tensor, cce: Tensor) -> Tensor:
        """See ``Objective``."""
        return self.alpha * mse + round(1 - self.alpha, 12) * cce


@dataclass(frozen=True)
class ClassificationLoss(Objective):
    """Cross entropy of the clips' classes alone; nothing is reconstructed.

    With ``centres`` over cosines with those of each class: sub-cluster AdaCos, whose fixed scale is
    sqrt(2) ln(centres of all classes - 1) (Zhang et al., CVPR 2019; Wilkinghoff, IJCNN 2021), or
    ArcFace (Deng et al., CVPR 2019).

    Args: those of conf/loss/classification.yaml.
    """

    classes: str
    mixup: float
    centres: int | None
    scale: float | None
    margin: float
    reconstructs: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_choice("loss.classes", self.classes, CLASSES)
        check_number("loss.mixup", self.mixup, 0, 1)
        if self.centres is not None:
            check_whole("loss.centres", self.centres, 1)
        check_number("loss.margin", self.margin, 0, math.pi)
        if self.scale is not None:
            check_number("loss.scale", self.scale, 0, above=True)

    def head(self, size: int, classes: Sequence[str]) -> Head:
        """See ``Objective``; or centres."""
        from asd.models.heads import CosineHead

        if self.centres is None:
            return super().head(size, classes)
        scale = self.scale or math.sqrt(2) * math.log(max(3, len(classes) * self.centres) - 1)
        return CosineHead(size, len(classes), self.centres, scale, self.margin)


@dataclass(frozen=True)
class OutlierExposure(Objective):
    """Binary cross entropy: clips of a machine ID against those of others (Primus et al., 2020).

    With ``scope=per_id`` a network for each ID, half of whose batches are of others, as published;
    else one with a sigmoid for each, where a clip is an outlier to those of others.

    Args:
        sources: machine types whose recordings are alike, and so may be outliers to one another;
            all that none of these lists has are one more.
    """

    sources: Sequence[Sequence[str]]
    classes: ClassVar[str] = "id"
    reconstructs: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for one in (self.sources, *self.sources):
            if isinstance(one, str) or not isinstance(one, Sequence):
                raise AsdError(f"loss.sources={self.sources}: must be lists of machine types")

    def source(self, name: str) -> int:
        """Number of the source of a machine type, or class; -1: of none that is listed."""
        machine = name.split("/")[0]
        return next((n for n, types in enumerate(self.sources) if machine in types), -1)

    def check(self, classes: Sequence[str]) -> None:
        """``AsdError`` where an ID has no outliers."""
        sources = [self.source(name) for name in classes]
        alone = [c for c, s in zip(classes, sources, strict=True) if sources.count(s) == 1]
        if alone:
            raise AsdError(f"loss.sources: no outliers for the only ID of a source: {alone}")

    def head(self, size: int, classes: Sequence[str]) -> Head:
        """See ``Objective``: a sigmoid a class."""
        from asd.models.heads import SigmoidHead

        return SigmoidHead(size, [self.source(name) for name in classes])
