"""What an epoch leaves on disk: ``history.csv``, ``last.ckpt`` to go on from, and ``best.ckpt``."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import CheckpointIO, TorchCheckpointIO
from pytorch_lightning.plugins.io import AsyncCheckpointIO

from asd.errors import AsdError
from asd.experiment.history import read_history, write_history
from asd.files import replacing
from asd.models.detector import read_checkpoint

log = logging.getLogger(__name__)


class EpochCheckpointIO(TorchCheckpointIO):
    """Writes ``last.ckpt`` whole or not at all; with ``best`` as an option, ``best.ckpt`` too.

    Best first: a crash between the two repeats the epoch and finds the same best.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Write the checkpoint of an epoch to ``path``, and ``best.ckpt`` beside it."""
        with replacing(Path(path)) as temporary:
            super().save_checkpoint(checkpoint, temporary)
            if storage_options == {"best": True}:
                with replacing(Path(path).with_name("best.ckpt")) as best:
                    try:
                        os.link(temporary, best)
                    except OSError:  # a file system without links
                        shutil.copyfile(temporary, best)


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
    """Writes an epoch's row, tells of it, and saves the epoch.

    Lightning's own ModelCheckpoint writes both checkpoints in full, and forgets which was best when
    the folder has been moved.

    Args:
        folder: where the files lie.
        on_epoch: called with the epoch's number and its values, between row and checkpoint.
        advance: of ``progress_bar``; told of each epoch.
    """

    def __init__(
        self,
        folder: Path,
        on_epoch: Callable[[int, dict[str, float]], None],
        advance: Callable[[int, str], None],
    ) -> None:
        self.last = folder / "last.ckpt"
        self.best = folder / "best.ckpt"
        self.history = folder / "history.csv"
        self.on_epoch, self.advance = on_epoch, advance
        self.best_loss = float("inf")
        self._rows: list[dict[str, float]] = []
        self._start = 0.0

    @property
    def begun(self) -> bool:
        """Whether an epoch has begun, so that all of a checkpoint has been taken up."""
        return self._start > 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the rows of the checkpoint, whatever became of the file meanwhile.

        What it has beyond them is of an epoch that will be repeated.
        """
        if self._rows or self.history.exists():
            write_history(self.history, self._rows)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the epoch's clock."""
        self._start = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the row, tell of it, save."""
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        values["steps"] = trainer.global_step
        values["epoch_seconds"] = time.perf_counter() - self._start
        self._rows.append({"epoch": trainer.current_epoch, **values})
        write_history(self.history, self._rows)
        improved = values["val/loss"] < self.best_loss
        self.best_loss = min(self.best_loss, values["val/loss"])
        losses = f"train {values['train/loss']:.4f} val {values['val/loss']:.4f}"
        epoch = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        self.advance(1, f"{epoch} {losses} best {self.best_loss:.4f}")
        self.on_epoch(trainer.current_epoch, values)
        trainer.save_checkpoint(self.last, storage_options={"best": improved})

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know."""
        return {"best_loss": self.best_loss, "history": list(self._rows)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up a saved state."""
        self.best_loss = state_dict["best_loss"]
        self._rows = list(state_dict["history"])


def restored_history(folder: Path) -> list[dict[str, float]]:
    """A model's ``history.csv``; from ``last.ckpt``, and written again, where it is lost.

    Raises:
        AsdError: it is damaged, and there is no checkpoint that has it.
    """
    path, last = folder / "history.csv", folder / "last.ckpt"
    rows: list[dict[str, float]] = []
    try:
        rows = read_history(path)
    except AsdError:
        if not last.exists():
            raise
    if not rows and last.exists():
        try:
            rows = list(
                read_checkpoint(last)["callbacks"][EpochCheckpoints.__qualname__]["history"]
            )
        except (LookupError, TypeError):
            rows = []  # whoever goes on from it says that it is damaged
        log.warning("%s was lost or damaged; it is written again from %s", path, last.name)
        write_history(path, rows)
    return rows
