"""``history.csv`` while it is written: a row an epoch, and whoever wants to know of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytorch_lightning as pl

from asd.experiment.history import append_epoch, read_history, write_history


class EpochHistory(pl.callbacks.Callback):
    """Writes the rows and tells of them.

    Args:
        path: the CSV.
        on_epoch: called with the epoch's number and its values, after they are on disk.
    """

    def __init__(self, path: Path, on_epoch: Callable[[int, dict[str, float]], None]) -> None:
        self.path = path
        self.on_epoch = on_epoch
        self._start = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Drop rows of epochs that will be repeated, for want of their checkpoint."""
        rows = read_history(self.path)
        kept = [row for row in rows if row["epoch"] < trainer.current_epoch]
        if len(kept) < len(rows):
            write_history(self.path, kept)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the epoch's clock."""
        self._start = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the row."""
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        values["epoch_seconds"] = time.perf_counter() - self._start
        append_epoch(self.path, {"epoch": trainer.current_epoch, **values})
        self.on_epoch(trainer.current_epoch, values)
