"""Which option matters: shares of variance where the truth is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from asd.reporting.factors import SEEDS, TOGETHER, shares


def test_shares_of_a_full_grid_are_an_analysis_of_variance() -> None:
    """Against a least-squares fit of nested models, whose explained variance is the share."""
    rng = np.random.default_rng(0)
    at = list(itertools.product(("1", "2", "3"), ("a", "b")))
    truth = {(x, y): 0.1 * int(x) + 0.3 * (y == "b") + 0.05 * (x == "3") * (y == "b")
             for x, y in at}  # fmt: skip
    table = {one: truth[one] + 0.02 * rng.standard_normal(4) for one in at}
    values = np.concatenate(list(table.values()))
    rows = np.repeat(np.arange(len(at)), 4)

    def explained(*columns: list[str]) -> float:
        design = np.column_stack([np.ones(len(values))] + [
            (np.array(column)[rows] == known).astype(float)
            for column in columns for known in sorted(set(column))
        ])  # fmt: skip
        fit = design @ np.linalg.lstsq(design, values, rcond=None)[0]
        return float(1 - np.var(values - fit) / np.var(values))

    first, second = [x for x, _ in at], [y for _, y in at]
    found = shares(table, ["rate", "kind"])
    assert found["rate"] == pytest.approx(explained(first))
    assert found["kind"] == pytest.approx(explained(second))
    assert found[SEEDS] == pytest.approx(1 - explained([f"{x}{y}" for x, y in at]))
    assert sum(found.values()) == pytest.approx(1) and found[TOGETHER] > 0
    assert shares({("1",): np.array([0.5]), ("2",): np.array([0.5])}, ["rate"]) == {}


def test_effects_that_cannot_be_told_apart_have_no_shares() -> None:
    table = {("1", "a"): np.array([0.1]), ("2", "b"): np.array([0.3])}
    assert shares(table, ["rate", "kind"]) == {}
