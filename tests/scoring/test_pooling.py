"""Pooling, against NumPy and the formulas written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from asd.errors import AsdError
from asd.scoring.pooling import (
    GlobalWeightedRanking,
    Mean,
    MeanAndMaximum,
    Quantile,
    StandardDeviation,
)


def gwrp(values: np.ndarray, r: float) -> float:
    weights = [r**n for n in range(len(values))]
    ordered = sorted(values, reverse=True)
    return sum(w * v for w, v in zip(weights, ordered, strict=True)) / sum(weights)


CASES: list[tuple[Any, Any]] = [
    (Mean(), np.mean),
    (StandardDeviation(), np.std),
    (Quantile(0.5), np.median),
    (Quantile(0.9), lambda v: np.quantile(v, 0.9)),
    (Quantile(0.0), np.min),
    (Quantile(1.0), np.max),
    (GlobalWeightedRanking(1.0), np.mean),
    (GlobalWeightedRanking(0.0), np.max),
    (GlobalWeightedRanking(0.46), lambda v: gwrp(v, 0.46)),
    (GlobalWeightedRanking(0.98), lambda v: gwrp(v, 0.98)),
]


@pytest.mark.parametrize(("pooling", "reference"), CASES, ids=[repr(c[0]) for c in CASES])
def test_pooling_is_what_its_formula_says(pooling: Any, reference: Any) -> None:
    generator = np.random.default_rng(0)
    for count in (1, 2, 7, 309, 5000):
        values = generator.gamma(1.5, 900, count)
        assert pooling(torch.from_numpy(values)).item() == pytest.approx(
            reference(values), rel=1e-9, abs=1e-9
        )
        of_bands = generator.normal(-50, 9, (count, 3))
        expected = [reference(column) for column in of_bands.T]
        np.testing.assert_allclose(
            pooling(torch.from_numpy(of_bands)), expected, rtol=1e-9, atol=1e-9
        )
        # the order of time does not matter
        shuffled = pooling(torch.from_numpy(generator.permutation(of_bands)))
        np.testing.assert_allclose(shuffled, expected, rtol=1e-9, atol=1e-9)


def test_the_mean_is_to_the_last_bit_what_it_was() -> None:
    for count in (1, 2, 309, 5000):
        values = np.random.default_rng(count).gamma(2, 3, count).astype(np.float32)
        before = np.bincount(np.zeros(count, int), values.astype(np.float64))[0] / count
        assert Mean()(torch.from_numpy(values).double()).item() == before


def test_mean_and_maximum_are_joined() -> None:
    values = np.random.default_rng(0).normal(size=(40, 3))
    both = MeanAndMaximum()(torch.from_numpy(values))
    np.testing.assert_allclose(both, np.append(values.mean(0), values.max(0)), rtol=1e-12)


@pytest.mark.parametrize("pooling", [case[0] for case in CASES], ids=repr)
def test_a_graph_pools_any_number_of_windows(pooling: Any) -> None:
    class Graph(torch.nn.Module):
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            pooled: torch.Tensor = pooling(values)
            return pooled

    shapes = ({0: torch.export.Dim("windows", min=2)},)
    graph = torch.export.export(Graph(), (torch.rand(7),), dynamic_shapes=shapes).module()
    for count in (2, 11, 500):
        values = torch.rand(count)
        assert graph(values).item() == pytest.approx(pooling(values).item(), rel=1e-6)


@pytest.mark.parametrize(
    ("pooling", "options", "message"),
    [
        (Quantile, {"q": 1.5}, r"scoring\.pooling\.q=1\.5: must be a number from 0 to 1"),
        (GlobalWeightedRanking, {"r": "high"}, r"scoring\.pooling\.r=high"),
    ],
)
def test_options_that_cannot_be_are_named(
    pooling: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(AsdError, match=message):
        pooling(**options)


def test_gwrp_of_a_ranking_is_a_weighted_rank() -> None:
    values = np.random.default_rng(1).permutation(30).astype(float)
    expected = np.average(np.arange(29, -1, -1), weights=stats.geom(0.1).pmf(np.arange(1, 31)))
    got = GlobalWeightedRanking(0.9)(torch.from_numpy(values)).item()
    assert got == pytest.approx(expected, rel=1e-12)
