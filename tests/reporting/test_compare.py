"""Comparisons of two systems, and the paper's claims, on scores whose truth is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from asd.errors import AsdError
from asd.reporting.bootstrap import Resampling
from asd.reporting.claims import HELD, NOT_DECIDABLE, NOT_HELD, check_claim
from asd.reporting.compare import compare, difference
from asd.reporting.declaration import declaration
from asd.reporting.runs import Run
from asd.reporting.systems import System

Scores = Callable[..., pd.DataFrame]
CLAIMS = declaration("paper").claims
LABELS = ("B", "U", "U FD", "SS-0.7-0.3", "SS-0.5-0.5", "SS-0.3-0.7")


def system(label: str, *frames: pd.DataFrame, resamples: int = 120) -> System:
    runs = []
    for seed, frame in enumerate(frames):
        run = Run(Path(label), {}, {}, {"seed": str(seed)})
        run.__dict__["scores"] = frame.sort_values(["machine", "id", "file"], ignore_index=True)
        runs.append(run)
    return System(label, runs, 0.1, Resampling(resamples))


def last(compared: pd.DataFrame) -> Any:
    """The mean over types."""
    return compared[compared["machine"] == "mean"].iloc[0]


def check_claims(systems: dict[str, System], metric: str) -> list[tuple[str, str]]:
    return [check_claim(claim, systems, metric) for claim in CLAIMS]


def test_the_same_scores_differ_by_nothing(scores: Scores) -> None:
    frame = scores(0)
    scaled = frame.assign(score=3 * frame["score"] + 1)
    compared = compare(system("A", frame), system("B", scaled), "auc")
    assert (compared[["difference", "difference_low", "difference_high"]] == 0).all(axis=None)
    assert (compared["probability_a_better"] == 0.5).all()


def test_a_better_system_is_found_and_the_other_way_round_is_its_mirror(scores: Scores) -> None:
    a, b = system("A", scores(1, 2.0)), system("B", scores(2, 0.5))
    compared, mirrored = compare(a, b, "auc"), compare(b, a, "auc")
    assert list(compared["machine"]) == [*a.machines, "mean"]
    assert last(compared).difference_low > 0 and last(compared).probability_a_better == 1
    for row, back in zip(compared.itertuples(), mirrored.itertuples(), strict=True):
        assert row.difference == pytest.approx(-back.difference)
        assert row.probability_a_better == pytest.approx(1 - back.probability_a_better)
        interval = (row.difference_low, row.difference_high)
        assert interval == pytest.approx((-back.difference_high, -back.difference_low))


def test_pairing_makes_the_interval_of_like_systems_narrower(scores: Scores) -> None:
    """Hard clips are hard for both, which resampling jointly takes out."""
    a, b = system("A", scores(1, 1.0)), system("B", scores(2, 1.0))
    row = last(compare(a, b, "auc"))
    own = [s.resampled("auc", "mean").std() for s in (a, b)]
    unpaired = 2 * 1.96 * np.hypot(*own)
    assert row.difference_high - row.difference_low < 0.7 * unpaired


def test_several_trainings_widen_the_interval_by_their_spread(scores: Scores) -> None:
    base = scores(0, 1.0)
    a = system("A", *(scores(seed, shift) for seed, shift in ((1, 0.2), (2, 1.8))))
    single = system("A", scores(1, 0.2))
    b = system("B", base)
    wide, narrow = last(compare(a, b, "auc")), last(compare(single, b, "auc"))
    widths = [row.difference_high - row.difference_low for row in (wide, narrow)]
    assert widths[0] > 2 * widths[1]
    assert (wide.trainings_a, wide.trainings_b) == (2, 1)


def test_other_clips_are_left_out_by_name(scores: Scores) -> None:
    frame = scores(0)
    other = scores(1)
    other.loc[(other["machine"] == "fan") & (other["id"] == "00"), "file"] += "x"
    other = other[other["machine"] != "valve"]
    compared = compare(system("A", frame), system("B", other), "auc")
    left_out = compared[compared["reason"] != ""].set_index("machine")["reason"]
    assert dict(left_out) == {
        "fan": "not the same test clips", "valve": "B has no scores of it",
    }  # fmt: skip
    kept = compared[compared["reason"] == ""]
    assert list(kept["machine"]) == ["ToyCar", "ToyConveyor", "pump", "slider", "mean"]
    mean = kept.loc[kept["machine"] != "mean", "mean_a"].mean()
    assert kept["mean_a"].iloc[-1] == pytest.approx(mean)
    with pytest.raises(AsdError, match="cannot be compared"):
        compare(
            system("A", frame[frame["machine"] == "fan"]),
            system("B", other[other["machine"] == "fan"]),
            "auc",
        )


def test_undefined_machines_are_left_out(scores: Scores) -> None:
    frame = scores(0)
    bare = frame[(frame["machine"] != "fan") | (frame["label"] == 0)]
    compared = compare(system("A", bare), system("B", bare), "auc").set_index("machine")
    assert compared["reason"]["fan"] == "its auc is undefined"
    assert (compared["reason"].drop("fan") == "").all()


def _world(scores: Scores, **shifts: float) -> dict[str, System]:
    made = {}
    for number, label in enumerate(LABELS):
        key = label.replace(" ", "_").replace("-", "_").replace(".", "")
        made[label] = system(label, *(scores(10 * number + s, shifts.get(key, 1.0), normal=60,
                             anomaly=60) for s in range(2)))  # fmt: skip
    return made


def _shift_machine(frame: pd.DataFrame, machines: tuple[str, ...], by: float) -> pd.DataFrame:
    rows = frame["machine"].isin(machines) & (frame["label"] == 1)
    return frame.assign(score=frame["score"] + by * rows)


def test_four_claims_held_where_the_data_was_made_so(scores: Scores) -> None:
    world = _world(scores, B=0.4, U=2.0, U_FD=2.0, SS_07_03=1.4, SS_05_05=0.9, SS_03_07=0.4)
    for run in world["U FD"].runs:
        frame = _shift_machine(run.scores, ("fan", "pump", "slider", "valve"), 0.7)
        run.__dict__["scores"] = _shift_machine(frame, ("ToyCar", "ToyConveyor"), -1.0)
    for run in world["B"].runs:
        run.__dict__["scores"] = _shift_machine(run.scores, ("slider",), 3.0)
    verdicts = check_claims(world, "auc")
    assert len(verdicts) == len(CLAIMS) == 4
    assert [verdict for verdict, _ in verdicts] == [HELD] * 4, verdicts


def test_the_opposite_is_not_held_and_the_same_not_decidable(scores: Scores) -> None:
    world = _world(scores, U=0.3, SS_07_03=0.9, SS_05_05=1.4, SS_03_07=2.0)
    verdict, reason = check_claims(world, "auc")[0]
    assert verdict == NOT_HELD and "SS-0.7-0.3 (mean) -" in reason
    same = _world(scores)
    same["U FD"] = System("U FD", same["U"].runs, 0.1, Resampling(120))
    _, _, helps, hurts = check_claims(same, "auc")
    assert helps[0] == hurts[0] == NOT_DECIDABLE
    assert "contains 0" in helps[1]


def test_a_guard_turns_a_claim_over(scores: Scores) -> None:
    """Full data helps on average, but one type clearly loses."""
    world = _world(scores, U=1.0, U_FD=2.2)
    for run in world["U FD"].runs:
        run.__dict__["scores"] = _shift_machine(run.scores, ("valve",), -2.2)
    mimii = ["fan", "pump", "slider", "valve"]
    assert difference(world["U FD"], world["U"], "auc", mimii)["difference_low"] > 0
    verdict, reason = check_claims(world, "auc")[2]
    assert verdict == NOT_HELD and "valve" in reason


def test_what_is_missing_is_named(scores: Scores) -> None:
    world = _world(scores)
    del world["SS-0.7-0.3"], world["U FD"]
    order, _, helps, hurts = check_claims(world, "auc")
    assert {verdict for verdict, _ in (order, helps, hurts)} == {NOT_DECIDABLE}
    assert order[1] == "no run of SS-0.7-0.3" and helps[1] == "no run of U FD"
    only_fan = {
        label: system(label, scores(n, machines=("fan",))) for n, label in enumerate(LABELS)
    }
    assert "ToyCar: U has no scores of it" in check_claims(only_fan, "auc")[3][1]


def test_one_training_is_said(scores: Scores) -> None:
    world = _world(scores, U=3.0, SS_07_03=2.0, SS_05_05=1.0, SS_03_07=0.2)
    world["U"] = system("U", scores(1, 3.0, normal=60, anomaly=60))
    verdict, reason = check_claims(world, "auc")[0]
    assert verdict == HELD and "One training of U:" in reason


@pytest.mark.parametrize("metric", ["auc", "pauc"])
def test_the_papers_own_numbers_bear_out_every_statement(metric: str) -> None:
    """The claims are what the paper's tables say, in either metric; guards may fail by a hair."""
    published = declaration("paper").published
    types = ("ToyCar", "ToyConveyor", "fan", "pump", "slider", "valve")
    for statement in (s for claim in CLAIMS for s in claim.statements):
        if statement.metrics and metric not in statement.metrics:
            continue
        better, worse = (
            np.mean([published[metric, system, m] for m in statement.machines or types])
            for system in (statement.better, statement.worse)
        )
        assert better > worse, statement
