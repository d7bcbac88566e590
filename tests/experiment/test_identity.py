from __future__ import annotations

import copy

import pytest

from asd.experiment.identity import delta, departures, flat, identity, training_identity

CONFIG = {
    "seed": 0,
    "data": {"root": "/a", "machines": ["fan"]},
    "trainer": {"batch_size": 32, "threads": None},
    "scoring": {"score": "mse", "max_fpr": 1.0},
    "identity": {
        "exclude": ["data.root", "trainer.threads", "identity", "not.there"],
        "scoring": ["scoring"],
    },
}


def changed(**paths: object) -> dict:
    config = copy.deepcopy(CONFIG)
    for name, value in paths.items():
        group, option = name.split("__")
        config[group][option] = value
    return config


@pytest.mark.parametrize(
    ("changes", "data", "same"),
    [
        ({"data__root": "/b", "trainer__threads": 4}, "d", True),
        ({"trainer__batch_size": 64}, "d", False),
        ({"data__machines": ["pump"]}, "d", False),
        ({}, "other", False),
        ({"trainer__batch_size": 32.0, "scoring__max_fpr": 1}, "d", True),
        ({"scoring__max_fpr": 0.1}, "d", False),
    ],
)
def test_what_can_change_the_result_changes_the_identity(
    changes: dict, data: str, same: bool
) -> None:
    other = changed(**changes)
    before = copy.deepcopy(other)
    assert (identity(CONFIG, "d") == identity(other, data)) is same
    assert other == before


def test_delta_has_what_differs_or_is_new() -> None:
    other = changed(trainer__batch_size=64)
    other["loss"] = {"alpha": 0.5}
    assert delta(other, CONFIG) == {"trainer.batch_size": 64, "loss.alpha": 0.5}
    assert delta(CONFIG, CONFIG) == {}
    assert flat(CONFIG)["data.machines"] == ["fan"]


def test_how_clips_are_scored_is_not_part_of_a_trained_model() -> None:
    trained = training_identity(CONFIG, "d", {"training": 1})
    assert training_identity(changed(scoring__score="mse_db"), "d", {"training": 1}) == trained
    assert training_identity(changed(trainer__batch_size=64), "d", {"training": 1}) != trained
    assert training_identity(CONFIG, "d", {"training": 2}) != trained


def test_code_of_another_version_is_another_run() -> None:
    assert identity(CONFIG, "d", {"scoring": 1}) != identity(CONFIG, "d", {"scoring": 2})


def test_a_group_that_is_switched_off_is_not_part_of_a_run() -> None:
    """Runs from before it was there keep their identity, and are compared as equals."""
    rules = {**CONFIG["identity"], "switches": {"calibration": "fraction"}}
    off, on = ({**CONFIG, "identity": rules, "calibration": {"fraction": f, "rule": "conformal"}}
               for f in (0, 0.2))  # fmt: skip
    assert identity(off, "d") == identity(CONFIG, "d") != identity(on, "d")
    assert training_identity(off, "d", {}) == training_identity(CONFIG, "d", {})
    assert training_identity(off, "d", {}) != training_identity(on, "d", {})
    assert departures(CONFIG, off) == {}
    assert departures(on, off) == {"calibration.fraction": 0.2, "calibration.rule": "conformal"}
