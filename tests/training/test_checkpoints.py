"""Checkpoints that are written while training goes on."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import data, detector, largest_difference, options, trained

from asd.errors import AsdError
from asd.experiment.history import read_history
from asd.models.detector import read_checkpoint
from asd.training.fit import fit


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
    expected = trained(tmp_path / "a", {"max_epochs": 4})
    trained(tmp_path / "b", {"max_epochs": 2})
    resumed = trained(tmp_path / "b", {"max_epochs": 4})
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


def test_a_lost_history_is_taken_from_the_checkpoint(tmp_path: Path) -> None:
    trained(tmp_path / "a", {"max_epochs": 4})
    expected = [row["val/loss"] for row in read_history(tmp_path / "a" / "history.csv")]
    trained(tmp_path / "b", {"max_epochs": 2})
    history = tmp_path / "b" / "history.csv"
    history.unlink()  # while training is interrupted
    trained(tmp_path / "b", {"max_epochs": 4})
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


def test_a_full_disk_ends_training_and_leaves_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(checkpoint: Any, path: Path) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lightning_fabric.plugins.io.torch_io._atomic_save", full)
    epochs: list[int] = []
    trainer = options(max_epochs=9)
    with pytest.raises(OSError, match="No space left"):
        fit(detector(), data(), trainer, 0, tmp_path, lambda e, v: epochs.append(e))
    assert len(epochs) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["history.csv"]


def test_progress_says_the_epoch_and_the_best_loss_of_all_starts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trained(tmp_path, {"max_epochs": 2})
    last = torch.load(tmp_path / "last.ckpt", weights_only=True)
    last["callbacks"]["EpochCheckpoints"]["history"][0]["val/loss"] = 1e-3
    torch.save(last, tmp_path / "last.ckpt")
    caplog.set_level(logging.INFO)
    trained(tmp_path, {"max_epochs": 3, "progress": "lines"})
    assert "training: going on at epoch 3" in caplog.text
    assert "training: 100 %, epoch 3/3 train " in caplog.text and "best 0.0010" in caplog.text
