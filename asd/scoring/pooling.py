"""Pooling: what many values in time, of a clip's windows or frames, become for the whole clip.

To add one: a frozen dataclass that is called like these, anywhere, and a file in
``conf/scoring/pooling/`` with its ``_target_``. They use operations that ONNX has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from asd.options import check_number

if TYPE_CHECKING:
    from torch import Tensor


class Pooling(Protocol):
    """[n, ...] values in the order of time, floating point -> [...], or several such joined."""

    def __call__(self, values: Tensor) -> Tensor:
        """The clip's, in the precision of the values."""


@dataclass(frozen=True)
class Mean:
    """The mean, summed in order, as a program that sees one value after another would."""

    def __call__(self, values: Tensor) -> Tensor:
        return values.cumsum(0)[-1] / values.shape[0]


@dataclass(frozen=True)
class StandardDeviation:
    """Of the values themselves, not of a population: divided by n. Of one value it is 0."""

    def __call__(self, values: Tensor) -> Tensor:
        return (values - values.mean(0)).square().mean(0).sqrt()


@dataclass(frozen=True)
class MeanAndMaximum:
    """[2 size] both of them, of values [n, size]."""

    def __call__(self, values: Tensor) -> Tensor:
        import torch

        return torch.cat([values.mean(0), values.amax(0)])


@dataclass(frozen=True)
class Moments:
    """[size + size²] mean and mean outer product, of values [n, size]."""

    def __call__(self, values: Tensor) -> Tensor:
        import torch

        return torch.cat([values.mean(0), (values.T @ values).flatten() / values.shape[0]])


@dataclass(frozen=True)
class Quantile:
    """The ``q``-quantile, linear between neighbours: 0.5 is the median, 1 the maximum."""

    q: float

    def __post_init__(self) -> None:
        check_number("scoring.pooling.q", self.q, 0, 1)

    def __call__(self, values: Tensor) -> Tensor:
        ordered = values.sort(0).values
        ranks = _ranks(values)
        weights = (1 - (ranks - self.q * (values.shape[0] - 1)).abs()).clamp(min=0)
        return (weights * ordered).sum(0)


@dataclass(frozen=True)
class GlobalWeightedRanking:
    """GWRP (Kolesnikov and Lampert 2016): the greatest value weighs 1, the next ``r``, then ``r²``.

    The weights are divided by their sum: 1 is the mean, 0 the maximum.
    """

    r: float

    def __post_init__(self) -> None:
        check_number("scoring.pooling.r", self.r, 0, 1)

    def __call__(self, values: Tensor) -> Tensor:
        weights = self.r ** _ranks(values)
        return (weights * values.sort(0, descending=True).values).sum(0) / weights.sum()


def _ranks(values: Tensor) -> Tensor:
    """0, 1, ... along the first axis, shaped [n, 1, ...] to go with values [n, ...]."""
    import torch

    ranks = torch.arange(values.shape[0], dtype=values.dtype, device=values.device)
    return ranks.view(-1, *[1] * (values.ndim - 1))
