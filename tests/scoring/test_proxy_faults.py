"""Simulated faults in a clip: as loud as said, where said, and the same again."""

from __future__ import annotations

import numpy as np
import pytest

from asd.errors import AsdError
from asd.scoring.proxy_faults import FAULTS, ProxyOptions, with_fault

RATE = 16000
CLIP = np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32) * 0.1


def changed(fault: str, level_db: float, seed: int = 1) -> np.ndarray:
    return with_fault(CLIP, RATE, fault, level_db, np.random.default_rng(seed)) - CLIP


@pytest.mark.parametrize("fault", ["bearing", "imbalance", "leak", "knocks"])
@pytest.mark.parametrize("level_db", [-20.0, 0.0])
def test_what_a_fault_adds_has_its_level(fault: str, level_db: float) -> None:
    added = changed(fault, level_db)
    ratio = 10 * np.log10(np.mean(added**2) / np.mean(CLIP**2))
    assert ratio == pytest.approx(level_db, abs=0.01)


def test_a_loss_leaves_a_third_silent_and_the_rest_alone() -> None:
    heard = CLIP + changed("loss", 5.0)  # above 0 nothing more can be gone
    assert np.sum(heard == 0) == pytest.approx(len(CLIP) / 3, abs=1)
    assert np.array_equal(heard[heard != 0], CLIP[heard != 0])


def test_a_wrong_pace_moves_a_line() -> None:
    line = np.sin(2 * np.pi * 1000 * np.arange(2 * RATE) / RATE).astype(np.float32)
    faster = with_fault(line, RATE, "timing", 0.0, np.random.default_rng(0))
    peak = np.argmax(np.abs(np.fft.rfft(faster))) / 2
    assert 1030 <= peak <= 1100


@pytest.mark.parametrize("fault", FAULTS)
def test_the_same_seed_gives_the_same_fault(fault: str) -> None:
    assert np.array_equal(changed(fault, -6.0), changed(fault, -6.0))
    assert not np.array_equal(changed(fault, -6.0), changed(fault, -6.0, seed=2))
    assert np.isfinite(changed(fault, 10.0)).all()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"faults": ["rust"]}, "proxy.faults"),
        ({"faults": "leak"}, "proxy.faults"),
        ({"level_db": [0.0, -3.0]}, "proxy.level_db"),
        ({"level_db": 3}, "proxy.level_db"),
        ({"copies": 0}, "proxy.copies"),
        ({"chooses_epoch": 1}, "proxy.chooses_epoch=1"),
        ({"chooses_epoch": True, "faults": []}, "proxy.chooses_epoch=true: needs proxy.faults"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], named: str) -> None:
    right = {"faults": ["leak"], "level_db": [-10.0, 0.0], "copies": 1, "chooses_epoch": False}
    with pytest.raises(AsdError, match=named):
        ProxyOptions(**{**right, **options})  # type: ignore[arg-type]
