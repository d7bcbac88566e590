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


def test_what_cannot_change_the_result_does_not_change_the_identity() -> None:
    same = changed(data__root="/b", trainer__threads=4)
    assert identity(CONFIG, "d") == identity(same, "d")


@pytest.mark.parametrize("other", [{"trainer__batch_size": 64}, {"data__machines": ["pump"]}])
def test_what_can_change_the_result_changes_the_identity(other: dict) -> None:
    assert identity(CONFIG, "d") != identity(changed(**other), "d")


def test_other_data_is_another_run() -> None:
    assert identity(CONFIG, "d") != identity(CONFIG, "e")


def test_the_config_is_left_as_it_is() -> None:
    before = copy.deepcopy(CONFIG)
    identity(CONFIG, "d")
    assert before == CONFIG


def test_delta_has_what_differs_or_is_new() -> None:
    other = changed(trainer__batch_size=64)
    other["loss"] = {"alpha": 0.5}
    assert delta(other, CONFIG) == {"trainer.batch_size": 64, "loss.alpha": 0.5}
    assert delta(CONFIG, CONFIG) == {}


def test_flat_keeps_lists_whole() -> None:
    assert flat(CONFIG)["data.machines"] == ["fan"]
