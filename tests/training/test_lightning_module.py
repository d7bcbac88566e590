"""What a step and an epoch do, against references of others."""

from __future__ import annotations

import copy
import gc
import weakref
from pathlib import Path

import pytest
import torch
from tiny import data, detector, options, trained
from torch.optim.swa_utils import update_bn

from asd.experiment.history import read_history
from asd.features.batches import Batches
from asd.models.detector import Detector
from asd.training.fit import fit


def statistics(of: Detector) -> torch.Tensor:
    return torch.cat([v for name, v in of.state_dict().items() if "running" in name])


def test_statistics_of_short_epochs_are_those_of_the_weights_that_score(tmp_path: Path) -> None:
    three_steps = trained(tmp_path / "a", {"batch_size": 4, "learning_rate": 0.1})
    clips = data()
    batches = Batches(torch.from_numpy(clips.features.values), clips.train, clips.classes, 4, 0)
    batches.epoch = 2
    # torch's own way, for batches of one size
    expected = copy.deepcopy(three_steps).train()
    update_bn(batches, expected)
    torch.testing.assert_close(statistics(three_steps), statistics(expected))

    running = trained(tmp_path / "b", {"learning_rate": 0.1, "exact_norm_steps": 3})
    for ours, theirs in zip(three_steps.parameters(), running.parameters(), strict=True):
        assert ours.equal(theirs)  # training itself is as it was
    assert (statistics(three_steps) - statistics(running)).abs().max() > 0.1


def test_a_short_last_batch_counts_by_its_clips(tmp_path: Path) -> None:
    got = trained(tmp_path, {"batch_size": 8})
    first = got.network.encoder[0][1]  # type: ignore[index]
    clips = data()
    image = got.network.encoder[0][0]  # type: ignore[index]
    windows = torch.from_numpy(clips.features.values)[: 12 * 16].view(12, 16, 8)
    made = image(windows.transpose(1, 2).unsqueeze(1))
    torch.testing.assert_close(first.running_mean, made.mean((0, 2, 3)))


@pytest.mark.parametrize("min_delta", [0.0, 0.3])
def test_the_rate_falls_as_keras_lets_it(tmp_path: Path, min_delta: float) -> None:
    plateau = {"factor": 0.5, "patience": 2, "min_delta": min_delta}
    trained(tmp_path, {"plateau": plateau, "learning_rate": 0.3, "max_epochs": 20})
    rows = read_history(tmp_path / "history.csv")
    # keras.callbacks.ReduceLROnPlateau.on_epoch_end, cooldown 0
    rate, best, wait, expected = 0.3, float("inf"), 0, []
    for row in rows:
        expected.append(rate)
        if row["val/loss"] < best - min_delta:
            best, wait = row["val/loss"], 0
        else:
            wait += 1
            if wait >= 2:
                rate, wait = rate * 0.5, 0
    assert [row["learning_rate"] for row in rows] == pytest.approx(expected)
    assert len(set(expected)) > 2
    assert [row["steps"] for row in rows] == list(range(3, 63, 3))


def test_adams_epsilon_is_the_options(tmp_path: Path) -> None:
    held = trained(tmp_path, {"adam_epsilon": 1e6})
    for before, after in zip(detector().parameters(), held.parameters(), strict=True):
        torch.testing.assert_close(before, after, rtol=0, atol=1e-6)


def test_nothing_of_a_training_stays_in_memory(tmp_path: Path) -> None:
    clips = data()
    values = weakref.ref(clips.features.values)
    fit(detector(), clips, options(), 0, tmp_path, lambda e, v: None)
    gc.disable()
    try:
        del clips
        assert values() is None
    finally:
        gc.enable()


def test_scoring_after_an_early_stop_is_deterministic_in_the_next_process_too(
    tmp_path: Path,
) -> None:
    stops = {"learning_rate": 3.0, "max_epochs": 50, "stop_patience": 1, "deterministic": True}
    trained(tmp_path, stops)
    assert len(read_history(tmp_path / "history.csv")) < 50
    try:
        torch.use_deterministic_algorithms(False)
        trained(tmp_path, stops)
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
