"""Checkpoints: the last epoch's, to go on from, and the best one's, to score with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import TorchCheckpointIO
from lightning_utilities.core.apply_func import apply_to_collection


class CheckpointWriter(TorchCheckpointIO):
    """Writes checkpoints, on request while training goes on.

    An epoch of seconds on a GPU would otherwise wait a third of that for 200 MB (the paper's
    model). At most one is being written: the next one waits, and raises what went wrong.

    Args:
        in_background: a copy of all tensors is written by a thread.
    """

    def __init__(self, in_background: bool) -> None:
        self._pool = ThreadPoolExecutor(1, "checkpoint") if in_background else None
        self._written: Future[None] | None = None

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Write it, or begin to."""
        write = super().save_checkpoint
        if self._pool is None:
            return write(checkpoint, path, storage_options)
        self.wait()
        # On the device: its way to the disk is the thread's.
        copy = apply_to_collection(checkpoint, torch.Tensor, lambda t: t.detach().clone())
        self._written = self._pool.submit(write, copy, path, storage_options)
        return None

    def then(self, do: Callable[[], None]) -> None:
        """Do something when what was saved last is on disk."""
        written = self._written
        if self._pool is None or written is None:
            return do()

        def after() -> None:
            written.result()
            do()

        self._written = self._pool.submit(after)
        return None

    def wait(self) -> None:
        """Return when nothing is being written; raises what writing raised."""
        written, self._written = self._written, None
        if written is not None:
            written.result()

    def teardown(self) -> None:
        """The Trainer's end, whatever ended it."""
        try:
            self.wait()
        finally:
            if self._pool is not None:
                self._pool.shutdown()


def in_background(choice: bool | str, device: torch.device) -> bool:
    """The config value ``trainer.checkpoint_in_background``; ``auto``: on a GPU."""
    return device.type == "cuda" if choice == "auto" else bool(choice)


class EpochCheckpoints(pl.callbacks.Checkpoint):
    """Writes ``last.ckpt`` after every epoch and keeps the best of them as ``best.ckpt``.

    Lightning's own ModelCheckpoint writes both in full, and forgets which was best when the folder
    has been moved.

    Args:
        folder: where they lie.
        writer: also the Trainer's plugin.
    """

    def __init__(self, folder: Path, writer: CheckpointWriter | None = None) -> None:
        self.writer = writer or CheckpointWriter(False)
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

        def publish() -> None:
            if improved:
                # Best first: a crash between the two repeats the epoch and finds the same best.
                _link(temporary, self.best)
            temporary.replace(self.last)

        self.writer.then(publish)

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
