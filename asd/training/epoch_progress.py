"""How far training is: a live line on a terminal, lines now and then in a log."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl

from asd import progress
from asd.experiment.listener import RunListener

log = logging.getLogger(__name__)

# A bar is drawn anew at most this often within an epoch, in seconds.
_REDRAW = 0.2


class ProgressListener(RunListener):
    """Gives each model's training an ``EpochProgress``.

    Args:
        style: ``trainer.progress``: ``auto``, ``bar``, ``lines`` or ``off``.
    """

    def __init__(self, style: str) -> None:
        self.style = style

    def trainer_callbacks(self, label: str, max_epochs: int) -> Sequence[Any]:
        """See ``RunListener.trainer_callbacks``."""
        return [EpochProgress(label, max_epochs, self.style)]


class EpochProgress(pl.Callback):
    """A live line that shows epoch, losses and time left; in a log, a line now and then.

    Args:
        label: what is trained.
        max_epochs: where the bar ends.
        style: ``auto``, ``bar``, ``lines`` or ``off``.
    """

    # Of all epochs, how many lines a log gets.
    LINES = 10

    def __init__(self, label: str, max_epochs: int, style: str) -> None:
        self.label = label
        self.max_epochs = max_epochs
        if style == "auto":
            style = "bar" if progress.shows_bars() else "lines"
        self.style = style
        self.best = float("inf")
        self._bar: Any = None
        self._drawn = 0.0
        self._first_epoch = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the bar where training begins or goes on."""
        self._start = time.perf_counter()
        self._first_epoch = trainer.current_epoch
        if trainer.current_epoch > 0:
            log.info("%s: going on at epoch %d", self.label, trainer.current_epoch + 1)
        if self.style != "bar":
            return
        self._bar = progress.rich_bar("{task.fields[losses]}")
        self._bar.start()
        epoch = trainer.current_epoch
        text = self._text(epoch)
        self._task = self._bar.add_task(text, total=self.max_epochs, completed=epoch, losses="")

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Move the bar within a long epoch."""
        if self._bar is None or time.perf_counter() - self._drawn < _REDRAW:
            return
        self._drawn = time.perf_counter()
        done = trainer.current_epoch + (batch_idx + 1) / max(1, trainer.num_training_batches)
        self._bar.update(self._task, completed=done, description=self._text(trainer.current_epoch))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the epoch's losses."""
        values = trainer.callback_metrics
        train, val = float(values["train/loss"]), float(values["val/loss"])
        self.best = min(self.best, val)
        losses = f"train {train:.4f} val {val:.4f} best {self.best:.4f}"
        epoch = trainer.current_epoch + 1
        if self._bar is not None:
            self._bar.update(
                self._task, completed=epoch, losses=losses, description=self._text(epoch - 1)
            )
        elif self.style == "lines" and self._due(epoch):
            spent = time.perf_counter() - self._start
            left = spent / (epoch - self._first_epoch) * (self.max_epochs - epoch)
            log.info("%s  %s  left %.0f s at most", self._text(epoch - 1), losses, left)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run must know."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up a saved state."""
        self.best = state_dict["best"]

    def _due(self, epoch: int) -> bool:
        step = max(1, self.max_epochs // self.LINES)
        return epoch % step == 0 or epoch == self.max_epochs

    def _text(self, epoch: int) -> str:
        return f"{self.label} epoch {min(epoch + 1, self.max_epochs)}/{self.max_epochs}"

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the bar."""
        self._close()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Close the bar, so that the message stands below it."""
        self._close()
