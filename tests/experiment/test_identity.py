from __future__ import annotations

import copy

import pytest

from asd.experiment.identity import delta, flat, identity

CONFIG = {
    "seed": 0,
    "data": {"root": "/a", "machines": ["fan"]},
    "trainer": {"batch_size": 32, "threads": None},
    "identity": {"exclude": ["data.root", "trainer.threads", "identity", "not.there"]},
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
