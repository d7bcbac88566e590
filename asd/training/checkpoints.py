"""Checkpoints: the last epoch's, to go on from, and the best one's, to score with."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import CheckpointIO, TorchCheckpointIO
from pytorch_lightning.plugins.io import AsyncCheckpointIO

from asd.files import replacing

# The entry of a checkpoint that says whether its epoch is the best one so far.
_IMPROVED = "improved"


class EpochCheckpointIO(TorchCheckpointIO):
    """Writes ``last.ckpt`` whole or not at all; an epoch that improved becomes ``best.ckpt`` too.

    Best first: a crash between the two repeats the epoch and finds the same best.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Write the checkpoint of an epoch to ``path``, and ``best.ckpt`` beside it."""
        with replacing(Path(path)) as temporary:
            super().save_checkpoint(checkpoint, temporary)
            if checkpoint.get(_IMPROVED):
                with replacing(Path(path).with_name("best.ckpt")) as best:
                    _link(temporary, best)


def checkpoint_io(in_background: bool | str, device: torch.device) -> CheckpointIO:
    """The Trainer's plugin.

    An epoch of seconds on a GPU would otherwise wait a third of that for 200 MB (the paper's
    model).

    Args:
        in_background: ``trainer.checkpoint_in_background``: copies of all tensors are written by a
            thread; what goes wrong ends training an epoch later. ``auto``: on a GPU.
        device: that trains.
    """
    threaded = device.type == "cuda" if in_background == "auto" else in_background
    return AsyncCheckpointIO(EpochCheckpointIO()) if threaded else EpochCheckpointIO()


class EpochCheckpoints(pl.callbacks.Checkpoint):
    """Saves every epoch, and knows which was the best.

    Lightning's own ModelCheckpoint writes both files in full, and forgets which was best when the
    folder has been moved.

    Args:
        folder: where they lie.
    """

    def __init__(self, folder: Path) -> None:
        self.last = folder / "last.ckpt"
        self.best = folder / "best.ckpt"
        self.best_loss = float("inf")
        self.best_epoch = -1

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save."""
        loss = float(trainer.callback_metrics["val/loss"])
        if loss < self.best_loss:
            self.best_loss, self.best_epoch = loss, trainer.current_epoch
        trainer.save_checkpoint(self.last)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Say whether it is the best."""
        checkpoint[_IMPROVED] = self.best_epoch == trainer.current_epoch

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know."""
        return {"best_loss": self.best_loss, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up a saved state."""
        self.best_loss = state_dict["best_loss"]
        self.best_epoch = state_dict["best_epoch"]


def _link(source: Path, target: Path) -> None:
    """Let ``target`` be the same file as ``source``; a copy where links cannot be made."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
