"""Checkpoints that are written while training goes on."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import TRAINER, data, detector, largest_difference, trained

from asd.models.detector import read_checkpoint
from asd.training import checkpoints
from asd.training.checkpoints import CheckpointWriter, in_background
from asd.training.fit import fit


def test_runs_are_the_same_with_and_without(tmp_path: Path) -> None:
    now = trained(tmp_path / "a", {"weights": "best", "checkpoint_in_background": False})
    later = trained(tmp_path / "b", {"weights": "best", "checkpoint_in_background": True})
    assert largest_difference(now, later) == 0
    for name in ("last.ckpt", "best.ckpt"):
        a, b = (read_checkpoint(tmp_path / run / name) for run in "ab")
        assert a["epoch"] == b["epoch"]
        assert a["callbacks"].keys() == b["callbacks"].keys()
    assert not list((tmp_path / "b").glob("*.partial"))


def test_a_run_goes_on_from_them(tmp_path: Path) -> None:
    background = {"checkpoint_in_background": True}
    expected = trained(tmp_path / "a", {"max_epochs": 4})
    trained(tmp_path / "b", {**background, "max_epochs": 2})
    got = trained(tmp_path / "b", {**background, "max_epochs": 4})
    assert largest_difference(got, expected) == 0


def test_a_checkpoint_holds_the_moment_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = threading.Event()
    write = checkpoints.TorchCheckpointIO.save_checkpoint

    def slow(self: Any, *args: Any) -> None:
        assert held.wait(30)
        write(self, *args)

    monkeypatch.setattr(checkpoints.TorchCheckpointIO, "save_checkpoint", slow)
    weights, done = torch.zeros(3), []
    writer = CheckpointWriter(True)
    writer.save_checkpoint({"weights": weights}, tmp_path / "x.ckpt")
    writer.then(lambda: done.append((tmp_path / "x.ckpt").exists()))
    weights += 1  # training goes on
    assert not done
    held.set()
    writer.wait()
    assert done == [True]
    assert torch.load(tmp_path / "x.ckpt")["weights"].tolist() == [0, 0, 0]


def test_what_went_wrong_ends_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints.TorchCheckpointIO, "save_checkpoint", full)
    epochs: list[int] = []
    options = {**TRAINER, "max_epochs": 9, "checkpoint_in_background": True}
    with pytest.raises(OSError, match="No space left"):
        fit(detector(), data(), options, 0, tmp_path, "u", lambda e, v: epochs.append(e))
    # the epoch that it was of, and at most one more
    assert len(epochs) <= 2
    assert not (tmp_path / "last.ckpt").exists()


def test_auto_is_for_gpus() -> None:
    assert in_background("auto", torch.device("cuda"))
    assert not in_background("auto", torch.device("cpu"))
    assert in_background(True, torch.device("cpu"))
    assert not in_background(False, torch.device("cuda"))


def test_no_thread_is_left_behind(tmp_path: Path) -> None:
    trained(tmp_path, {"checkpoint_in_background": True})
    assert not [t for t in threading.enumerate() if t.name.startswith("checkpoint")]
