"""Comparisons of two systems, and the paper's claims, on scores whose truth is known."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from asd.errors import AsdError
from asd.reporting.bootstrap import Resampling, holm
from asd.reporting.claims import HELD, NOT_HELD, check_claim
from asd.reporting.compare import NOT_DECIDABLE, compare, compare_pairs, difference
from asd.reporting.declaration import declaration
from asd.reporting.runs import Run
from asd.reporting.systems import System

TABLE = declaration("paper")
MIMII, TOYS = ("fan", "pump", "slider", "valve"), ("ToyCar", "ToyConveyor")


def system(label: str, *frames: pd.DataFrame) -> System:
    runs = []
    for seed, frame in enumerate(frames):
        ordered = frame.sort_values(["machine", "id", "file"], ignore_index=True)
        runs.append(Run(Path(label), {}, {}, {"seed": str(seed)}, ordered))
    return System(label, runs, 0.1, Resampling(120))


def mean(compared: pd.DataFrame) -> Any:
    """The mean over types, and the width of its interval."""
    row = compared[compared["machine"] == "mean"].iloc[0]
    return row, row.difference_high - row.difference_low


def test_the_same_scores_differ_by_nothing(scores: Any) -> None:
    frame = scores(0)
    scaled = frame.assign(score=3 * frame["score"] + 1)
    compared = compare(system("A", *[frame] * 3), system("B", *[scaled] * 3), "auc")
    assert (compared[["difference", "difference_low", "difference_high"]] == 0).all(axis=None)
    assert (compared["resamples_a_above_b"] == 0.5).all()
    assert (compared["verdict"] == "not decidable (3 seeds of A, 3 of B)").all()


def test_every_pair_is_the_mean_of_its_comparison_corrected_over_all(scores: Any) -> None:
    systems = [trained("A", scores, 1, 2.0), trained("B", scores, 5, 1.0)]
    systems += [trained("kNN", scores, 20, 1.0), system("one seed", scores(9, 2.0))]
    compared = compare_pairs(systems, "auc")
    pairs = list(itertools.combinations(systems, 2))
    alone = pd.DataFrame([mean(compare(a, b, "auc"))[0] for a, b in pairs])
    same = ["a", "b", "difference", "difference_low", "difference_high", "trainings_b"]
    assert compared[same].values.tolist() == alone[same].values.tolist()
    np.testing.assert_array_equal(compared["p_holm"], holm(list(alone["p"])))
    assert list(compared["verdict"]) == [
        "A is better (3 seeds of A, 3 of B)",
        "A is better (3 seeds of A, 3 of kNN)",
        "not decidable: 3 seeds of A, 1 of one seed; 3 of each are needed",
        "not decidable (3 seeds of B, 3 of kNN)",
        "not decidable: 3 seeds of B, 1 of one seed; 3 of each are needed",
        "not decidable: 3 seeds of kNN, 1 of one seed; 3 of each are needed",
    ]


def trained(label: str, scores: Any, first: int, shift: float, seeds: int = 3) -> System:
    return system(label, *(scores(first + seed, shift) for seed in range(seeds)))


def test_a_better_system_is_known_and_the_other_way_round_is_its_mirror(scores: Any) -> None:
    a, b = trained("A", scores, 1, 2.0), trained("B", scores, 5, 0.5)
    compared, mirrored = compare(a, b, "auc"), compare(b, a, "auc")
    assert list(compared["machine"]) == [*a.machines, "mean"]
    row, _ = mean(compared)
    assert row.difference_low > 0 and row.resamples_a_above_b == 1
    assert row.verdict == "A is better (3 seeds of A, 3 of B)"
    assert mean(mirrored)[0].verdict == "A is better (3 seeds of B, 3 of A)"
    np.testing.assert_allclose(compared["difference"], -mirrored["difference"])
    np.testing.assert_allclose(compared["difference_low"], -mirrored["difference_high"])


def test_pairing_makes_the_interval_of_like_systems_narrower(scores: Any) -> None:
    """Hard clips are hard for both, which resampling jointly takes out."""
    a, b = system("A", scores(1, 1.0)), system("B", scores(2, 1.0))
    own = [s.sample("auc/mean").resampled.std() for s in (a, b)]
    assert mean(compare(a, b, "auc"))[1] < 0.7 * 2 * 1.96 * np.hypot(*own)


@pytest.mark.parametrize(("seeds_a", "seeds_b", "said"), [(1, 3, "1 seed"), (3, 2, "3 seeds")])
def test_below_three_seeds_nothing_is_decided(
    scores: Any, seeds_a: int, seeds_b: int, said: str
) -> None:
    """However far apart these very trainings are."""
    a, b = trained("A", scores, 1, 3.0, seeds_a), trained("B", scores, 5, 0.2, seeds_b)
    row, _ = mean(compared := compare(a, b, "auc"))
    assert row.verdict == f"not decidable: {said} of A, {seeds_b} of B; 3 of each are needed"
    assert (compared["verdict"] == row.verdict).all()
    assert np.isnan(row.p) == (1 in (seeds_a, seeds_b))


def test_machine_types_are_many_questions_and_the_mean_is_one(scores: Any) -> None:
    compared = compare(trained("A", scores, 1, 1.15), trained("B", scores, 5, 1.0), "auc")
    types, row = compared[:-1], compared.iloc[-1]
    smallest = types["p"].idxmin()
    assert types["p_holm"][smallest] == pytest.approx(6 * types["p"][smallest])
    assert types["p"][smallest] < 0.05 < types["p_holm"][smallest]
    assert types["verdict"].str.startswith("not decidable (").all()
    assert row.p_holm == row.p < 0.05 and row.verdict.startswith("A is better")


def test_what_cannot_be_compared_is_left_out_by_name(scores: Any) -> None:
    frame = scores(0)
    frame = frame[(frame["machine"] != "slider") | (frame["label"] == 0)]
    other = scores(1)
    other.loc[(other["machine"] == "fan") & (other["id"] == "00"), "file"] += "x"
    other = other[other["machine"] != "valve"]
    compared = compare(system("A", frame), system("B", other), "auc").set_index("machine")
    assert dict(compared.loc[compared["reason"] != "", "reason"]) == {
        "fan": "fan: not the same test clips",
        "slider": "slider: its auc is undefined",
        "valve": "valve: B has no scores of it",
    }
    kept = compared[compared["reason"] == ""]
    assert list(kept.index) == ["ToyCar", "ToyConveyor", "pump", "mean"]
    assert kept["mean_a"]["mean"] == pytest.approx(kept["mean_a"].drop("mean").mean())
    fans = [system("A", f[f["machine"] == "fan"]) for f in (frame, other)]
    with pytest.raises(AsdError, match="cannot be compared"):
        compare(*fans, "auc")


def check(systems: dict[str, System], claim: int) -> tuple[str, str]:
    return check_claim(TABLE.claims[claim], systems, "auc")


def _world(scores: Any, **shifts: float) -> dict[str, System]:
    made = {}
    for number, label in enumerate(TABLE.rows):
        key = label.replace(" ", "_").replace("-", "_").replace(".", "")
        frames = (
            scores(10 * number + s, shifts.get(key, 1.0), normal=60, anomaly=60) for s in range(3)
        )
        made[label] = system(label, *frames)
    return made


def _shift(system: System, machines: tuple[str, ...], by: float) -> None:
    for number, run in enumerate(system.runs):
        rows = run.scores["machine"].isin(machines) & (run.scores["label"] == 1)
        shifted = run.scores.assign(score=run.scores["score"] + by * rows)
        system.runs[number] = replace(run, scores=shifted)


def test_four_claims_held_where_the_data_was_made_so(scores: Any) -> None:
    world = _world(scores, B=0.4, U=2.0, U_FD=2.0, SS_07_03=1.4, SS_05_05=0.9, SS_03_07=0.4)
    _shift(world["U FD"], MIMII, 0.7)
    _shift(world["U FD"], TOYS, -1.0)
    _shift(world["B"], ("slider",), 3.0)
    verdicts = [check(world, claim) for claim in range(len(TABLE.claims))]
    assert [verdict for verdict, _ in verdicts] == [HELD] * 4, verdicts


def test_the_opposite_is_not_held_and_the_same_not_decidable(scores: Any) -> None:
    verdict, reason = check(_world(scores, U=0.3, SS_07_03=0.9, SS_05_05=1.4, SS_03_07=2.0), 0)
    assert verdict == NOT_HELD and "SS-0.7-0.3 (mean) -" in reason
    same = _world(scores)
    same["U FD"] = System("U FD", same["U"].runs, 0.1, Resampling(120))
    helps, hurts = check(same, 2), check(same, 3)
    assert helps[0] == hurts[0] == NOT_DECIDABLE and "no difference is shown" in helps[1]


def test_a_guard_turns_a_claim_over(scores: Any) -> None:
    """Full data helps on average, but one type clearly loses."""
    world = _world(scores, U=1.0, U_FD=2.2)
    _shift(world["U FD"], ("valve",), -2.2)
    assert difference(world["U FD"], world["U"], "auc", list(MIMII))["difference_low"] > 0
    verdict, reason = check(world, 2)
    assert verdict == NOT_HELD and "valve" in reason


def test_several_statements_are_corrected_and_the_seeds_are_said(scores: Any) -> None:
    world = _world(scores, U=1.13, SS_07_03=1.0, SS_05_05=0.65, SS_03_07=0.584)
    p = [
        difference(world[a], world[b], "auc", list(world[a].machines))["p"]
        for a, b in itertools.pairwise(["U", "SS-0.7-0.3", "SS-0.5-0.5", "SS-0.3-0.7"])
    ]
    assert max(p) < 0.05 < max(holm(p))
    verdict, reason = check(world, 0)
    assert verdict == NOT_DECIDABLE and f"p {max(holm(p)):.2g} (Holm's correction over 3)" in reason
    assert reason.endswith(". 3 seeds of U, 3 of SS-0.7-0.3, 3 of SS-0.5-0.5, 3 of SS-0.3-0.7")


def test_what_is_missing_is_said(scores: Any) -> None:
    world = _world(scores, U=3.0, SS_07_03=2.0, SS_05_05=1.0, SS_03_07=0.2)
    del world["U"].runs[1:]
    reason = "1 seed of U, 3 of SS-0.7-0.3; 3 of each are needed"
    assert check(world, 0) == (NOT_DECIDABLE, reason)
    only_fan = {
        label: system(label, *[scores(n, machines=("fan",))] * 3) for n, label in enumerate(world)
    }
    assert "ToyCar: U has no scores of it" in check(only_fan, 3)[1]
    del world["SS-0.7-0.3"], world["U FD"]
    assert check(world, 0) == (NOT_DECIDABLE, "no run of SS-0.7-0.3")
    assert check(world, 2) == check(world, 3) == (NOT_DECIDABLE, "no run of U FD")


@pytest.mark.parametrize("metric", ["auc", "pauc"])
def test_the_papers_own_numbers_bear_out_every_statement(metric: str) -> None:
    """The claims are what the paper's tables say, in either metric; guards may fail by a hair."""
    for statement in (s for claim in TABLE.claims for s in claim.statements):
        if statement.metrics and metric not in statement.metrics:
            continue
        better, worse = (
            np.mean(
                [TABLE.published[metric, label, m] for m in statement.machines or TABLE.columns]
            )
            for label in (statement.better, statement.worse)
        )
        assert better > worse, statement
