"""How far training is: a live line on a terminal, lines now and then in a log."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl

from asd import progress
from asd.experiment.listener import RunListener

if TYPE_CHECKING:
    from rich.progress import Progress

log = logging.getLogger(__name__)

# Of all epochs, how many lines a log gets.
_LINES = 10


class ProgressListener(RunListener, pl.Callback):
    """Shows epoch, losses and time left of each model; the Trainer's callback for that, too.

    Args:
        style: ``trainer.progress``: ``auto``, ``bar``, ``lines`` or ``off``.
    """

    def __init__(self, style: str) -> None:
        if style == "auto":
            style = "bar" if progress.shows_bars() else "lines"
        self.style = style
        self._bar: Progress | None = None

    def model_started(self, model: str, history: Sequence[Mapping[str, float]]) -> None:
        """See ``RunListener.model_started``."""
        self._losses = ""
        self._best = min((row["val/loss"] for row in history), default=float("inf"))

    def trainer_callbacks(self, label: str, max_epochs: int) -> Sequence[Any]:
        """See ``RunListener.trainer_callbacks``."""
        self._label, self._epochs = label, max_epochs
        return [self]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the bar where training begins or goes on."""
        self._start, self._first_epoch = time.perf_counter(), trainer.current_epoch
        if trainer.current_epoch > 0:
            log.info("%s: going on at epoch %d", self._label, trainer.current_epoch + 1)
        if self.style == "bar":
            self._bar = progress.rich_bar("{task.fields[losses]}")
            self._bar.start()
            self._task = self._bar.add_task("", total=self._epochs, losses="")
            self._move(trainer.current_epoch)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Move the bar within a long epoch."""
        self._move(trainer.current_epoch, (batch_idx + 1) / trainer.num_training_batches)

    def epoch_ended(self, model: str, epoch: int, values: Mapping[str, float]) -> None:
        """See ``RunListener.epoch_ended``: before the epoch is saved, which may go wrong."""
        train, val, done = values["train/loss"], values["val/loss"], epoch + 1
        self._best = min(self._best, val)
        self._losses = f"train {train:.4f} val {val:.4f} best {self._best:.4f}"
        self._move(epoch, 1.0)
        due = done % max(1, self._epochs // _LINES) == 0 or done == self._epochs
        if self.style == "lines" and due:
            spent = time.perf_counter() - self._start
            left = spent / (done - self._first_epoch) * (self._epochs - done)
            log.info("%s  %s  left %.0f s at most", self._text(epoch), self._losses, left)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Close the bar, so that the message stands below it."""
        self.on_train_end(trainer, pl_module)

    def _move(self, epoch: int, part: float = 0.0) -> None:
        """Let the bar stand where so much of the epoch is done."""
        if self._bar is not None:
            done, text = epoch + part, self._text(epoch)
            self._bar.update(self._task, completed=done, description=text, losses=self._losses)

    def _text(self, epoch: int) -> str:
        return f"{self._label} epoch {min(epoch + 1, self._epochs)}/{self._epochs}"
