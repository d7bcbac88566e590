"""Checkpoints that are written while training goes on."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.plugins.io import AsyncCheckpointIO
from tiny import data, detector, largest_difference, options, trained

from asd.errors import AsdError
from asd.experiment.history import read_history
from asd.models.detector import read_checkpoint
from asd.training.checkpoints import EpochCheckpointIO, checkpoint_io, restored_history
from asd.training.fit import fit


def test_runs_are_the_same_with_and_without(tmp_path: Path) -> None:
    now = trained(tmp_path / "a", {"weights": "best", "checkpoint_in_background": False})
    later = trained(tmp_path / "b", {"weights": "best", "checkpoint_in_background": True})
    assert largest_difference(now, later) == 0
    for name in ("last.ckpt", "best.ckpt"):
        a, b = (read_checkpoint(tmp_path / run / name) for run in "ab")
        assert a["epoch"] == b["epoch"]
        assert a["callbacks"].keys() == b["callbacks"].keys()
    assert sorted(p.name for p in (tmp_path / "b").iterdir()) == [
        "best.ckpt", "history.csv", "last.ckpt",
    ]  # fmt: skip


def test_best_is_the_epoch_of_the_least_validation_loss(tmp_path: Path) -> None:
    # so fast that the loss goes up and down
    trained(tmp_path, {"weights": "best", "learning_rate": 3.0, "max_epochs": 6})
    lines = (tmp_path / "history.csv").read_text().splitlines()
    column = lines[0].split(",").index("val/loss")
    losses = [float(line.split(",")[column]) for line in lines[1:]]
    best = read_checkpoint(tmp_path / "best.ckpt")
    assert best["epoch"] == losses.index(min(losses))
    assert read_checkpoint(tmp_path / "last.ckpt")["epoch"] == 5
    assert best["epoch"] < 5


def test_a_run_goes_on_from_them(tmp_path: Path) -> None:
    background = {"checkpoint_in_background": True}
    expected = trained(tmp_path / "a", {"max_epochs": 4})
    trained(tmp_path / "b", {**background, "max_epochs": 2})
    resumed = trained(tmp_path / "b", {**background, "max_epochs": 4})
    assert largest_difference(resumed, expected) == 0


@pytest.mark.parametrize(
    "part",
    ["pytorch-lightning_version", "state_dict", "loops", "optimizer_states", "callbacks", "asd"],
)
def test_a_checkpoint_that_cannot_be_gone_on_from_says_what_to_do(
    part: str, tmp_path: Path
) -> None:
    trained(tmp_path, {"max_epochs": 1})
    last = tmp_path / "last.ckpt"
    content = torch.load(last, weights_only=True)
    junk = {"format": 1, "plateau": 5, "random_state": 5} if part == "asd" else "junk"
    torch.save({**content, part: junk}, last)
    with pytest.raises(AsdError, match=f"cannot be gone on from .*; remove {tmp_path}"):
        trained(tmp_path, {"max_epochs": 2, "stop_patience": 9})


@pytest.mark.parametrize("damage", [b"", b"\xff\x00"])
def test_a_lost_history_is_taken_from_the_checkpoint(damage: bytes, tmp_path: Path) -> None:
    trained(tmp_path / "a", {"max_epochs": 4})
    expected = [row["val/loss"] for row in read_history(tmp_path / "a" / "history.csv")]
    trained(tmp_path / "b", {"max_epochs": 2})
    history = tmp_path / "b" / "history.csv"
    history.unlink()  # while training is interrupted
    trained(tmp_path / "b", {"max_epochs": 4})
    assert [row["val/loss"] for row in read_history(history)] == expected
    history.write_bytes(damage)  # when it is over
    assert [row["val/loss"] for row in restored_history(tmp_path / "b")] == expected
    assert [row["val/loss"] for row in read_history(history)] == expected


def test_a_resumed_run_builds_what_its_own_config_names(tmp_path: Path) -> None:
    expected = trained(tmp_path / "a", {"max_epochs": 4})
    trained(tmp_path / "b", {"max_epochs": 2})
    last, target = tmp_path / "b" / "last.ckpt", tmp_path / "written"
    content = torch.load(last, weights_only=True)
    for part in ("model", "loss"):
        content["asd"]["recipe"][part] = {"_target_": "pathlib.Path.touch", "self": str(target)}
    torch.save(content, last)
    assert largest_difference(trained(tmp_path / "b", {"max_epochs": 4}), expected) == 0
    assert not target.exists()


@pytest.mark.parametrize("background", [False, True])
def test_a_full_disk_ends_training_and_leaves_no_part(
    background: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(checkpoint: Any, path: Path) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lightning_fabric.plugins.io.torch_io._atomic_save", full)
    epochs: list[int] = []
    trainer = options(max_epochs=9, checkpoint_in_background=background)
    with pytest.raises(OSError, match="No space left"):
        fit(detector(), data(), trainer, 0, tmp_path, lambda e, v: epochs.append(e))
    # the epoch that it was of, and in the background at most one more
    assert len(epochs) <= 1 + background
    assert [p.name for p in tmp_path.iterdir()] == ["history.csv"]


def test_auto_is_for_gpus() -> None:
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    for choice, device, threaded in (
        ("auto", gpu, True), ("auto", cpu, False), (True, cpu, True), (False, gpu, False),
    ):  # fmt: skip
        plugin = checkpoint_io(choice, device)
        assert isinstance(plugin, AsyncCheckpointIO if threaded else EpochCheckpointIO)


def test_no_thread_is_left_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    trained(tmp_path, {"checkpoint_in_background": True})
    assert not [t for t in set(threading.enumerate()) - before if not t.daemon]


def test_progress_says_the_epoch_and_the_best_loss_of_all_starts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trained(tmp_path, {"max_epochs": 2})
    last = torch.load(tmp_path / "last.ckpt", weights_only=True)
    last["callbacks"]["EpochCheckpoints"]["best_loss"] = 1e-3
    torch.save(last, tmp_path / "last.ckpt")
    caplog.set_level(logging.INFO)
    trained(tmp_path, {"max_epochs": 3, "progress": "lines"})
    assert "training: going on at epoch 3" in caplog.text
    assert "training: 100 %, epoch 3/3 train " in caplog.text and "best 0.0010" in caplog.text
