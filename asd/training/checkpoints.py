"""Checkpoints: the last epoch's, to go on from, and the best one's, to score with."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytorch_lightning as pl


class EpochCheckpoints(pl.callbacks.Checkpoint):
    """Writes ``last.ckpt`` after every epoch and keeps the best of them as ``best.ckpt``.

    Lightning's own ModelCheckpoint writes both in full, and forgets which was best when the folder
    has been moved.

    Args:
        folder: where they lie.
    """

    def __init__(self, folder: Path) -> None:
        self.last = folder / "last.ckpt"
        self.best = folder / "best.ckpt"
        self.best_loss = float("inf")
        self.best_epoch = -1

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save; both files are replaced whole or not at all."""
        loss = float(trainer.callback_metrics["val/loss"])
        improved = loss < self.best_loss
        if improved:
            self.best_loss, self.best_epoch = loss, trainer.current_epoch
        temporary = self.last.with_name("last.ckpt.partial")
        trainer.save_checkpoint(temporary)
        if not trainer.is_global_zero:
            return
        if improved:
            # Best first: a crash between the two then repeats the epoch and finds the same best.
            _link(temporary, self.best)
        temporary.replace(self.last)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know."""
        return {"best_loss": self.best_loss, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up a saved state."""
        self.best_loss = state_dict["best_loss"]
        self.best_epoch = state_dict["best_epoch"]


def _link(source: Path, target: Path) -> None:
    """Let ``target`` be the same file as ``source``; a copy where links cannot be made."""
    temporary = target.with_name(target.name + ".partial")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:
        shutil.copyfile(source, temporary)
    temporary.replace(target)
