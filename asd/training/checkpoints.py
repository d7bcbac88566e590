"""What an epoch leaves on disk: ``history.csv``, ``last.ckpt`` to go on from, and ``best.ckpt``."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from asd.experiment.history import judged, write_history
from asd.files import replacing
from asd.training.detector_costs import gpu_joules


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
        self.folder, self.history = folder, folder / "history.csv"
        self.on_epoch, self.advance = on_epoch, advance
        self.begun = False  # an epoch has, so that all of a checkpoint has been taken up
        self._rows: list[dict[str, float]] = []
        self._start = 0.0
        self._joules: float | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the rows of the checkpoint, whatever became of the file meanwhile.

        What it has beyond them is of an epoch that will be repeated.
        """
        if self._rows or self.history.exists():
            write_history(self.history, self._rows)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the epoch's clock."""
        self.begun = True
        self._start = time.perf_counter()
        self._joules = gpu_joules() if pl_module.device.type == "cuda" else None

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the row, tell of it, save."""
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        values["steps"] = trainer.global_step
        values["epoch_seconds"] = time.perf_counter() - self._start
        if self._joules is not None and (joules := gpu_joules()) is not None:
            values["epoch_joules"] = joules - self._joules
        self._rows.append({"epoch": trainer.current_epoch, **values})
        write_history(self.history, self._rows)
        best = min(self._rows, key=judged)  # the first of equals
        losses = f"train {values['train/loss']:.4f} val {values['val/loss']:.4f}"
        losses += f" proxy AUC {-judged(values)[0]:.4f}" * ("val/proxy_auc" in values)
        losses += f" best {abs(judged(best)[0]):.4f}"
        self.advance(1, f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs} {losses}")
        self.on_epoch(trainer.current_epoch, values)
        with replacing(self.folder / "last.ckpt") as temporary:
            trainer.save_checkpoint(temporary)
            if best is self._rows[-1]:
                # Before the last: a crash between them repeats the epoch and finds the same best.
                with replacing(self.folder / "best.ckpt") as link:
                    try:
                        os.link(temporary, link)
                    except OSError:  # a file system without links
                        shutil.copyfile(temporary, link)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know."""
        return {"history": list(self._rows)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up a saved state."""
        self._rows = list(state_dict["history"])
