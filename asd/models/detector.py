"""The LightningModule: one autoencoder with its standardisation, loss and optimiser."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asd.composition import build
from asd.errors import AsdError
from asd.features.batches import Batch
from asd.models.standardiser import Standardiser

# Of the part of a checkpoint that is ours.
CHECKPOINT_FORMAT = 1


class Errors(NamedTuple):
    """Of windows: ``mse`` [n]; ``cce`` [n], None without a classifier; ``embedding`` [n, size]."""

    mse: Tensor
    cce: Tensor | None
    embedding: Tensor


class Detector(pl.LightningModule):
    """Trains an autoencoder and gives the errors that anomaly scores are made of.

    Args:
        recipe: plain values that rebuild it from a checkpoint alone: ``model``, ``loss``,
            ``trainer`` and ``frontend`` as composed, ``bands``, ``frames``, ``window``,
            ``classes`` (names, in the classifier's order), and whatever else a user of the
            checkpoint should know.
        standardiser: fitted; None where a checkpoint brings it.
    """

    def __init__(self, recipe: dict[str, Any], standardiser: Standardiser | None = None) -> None:
        super().__init__()
        self.recipe = recipe
        self.standardiser = standardiser or Standardiser.identity(recipe["bands"])
        shape = {"bands": recipe["bands"], "frames": recipe["frames"]}
        self.network: nn.Module = build({**recipe["model"], **shape}, "model")
        self.loss = build(recipe["loss"], "loss")
        self.classifier: nn.Module | None = None
        if self.loss.classes is not None:
            size = self.network.embedding_size
            self.classifier = nn.Linear(size, len(recipe["classes"]))  # type: ignore[arg-type]
            nn.init.xavier_uniform_(self.classifier.weight)
            nn.init.zeros_(self.classifier.bias)
        self.trainer_options = recipe["trainer"]
        self._plateau: torch.optim.lr_scheduler.ReduceLROnPlateau | None = None
        self._plateau_state: dict[str, Any] | None = None
        self._sums: Tensor | None = None

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """[n, frames, bands] in dB -> reconstruction (standardised domain), embeddings."""
        reconstruction, embedding = self.network(self.standardiser(features))
        return reconstruction, embedding

    def errors(self, batch: Batch, decibels: bool = False) -> Errors:
        """Per window, in float32 whatever the precision of the network.

        Args:
            batch: the windows.
            decibels: weigh the squared errors by each band's variance, as in dB before
                standardisation.

        Returns:
            The MSE in the standardised domain, the CCE against the batch's classes, and the
            bottleneck in the network's precision.
        """
        target = self.standardiser(batch.features)
        reconstruction, embedding = self.network(target)
        squares = F.mse_loss(reconstruction.float(), target, reduction="none")
        if decibels:
            squares = squares * self.standardiser.std.square()
        mse = squares.flatten(1).mean(1)
        if self.classifier is None:
            return Errors(mse, None, embedding)
        logits = self.classifier(embedding).float()
        cce = F.cross_entropy(logits, batch.classes, reduction="none")
        return Errors(mse, cce, embedding)

    def _step(self, batch: Batch) -> Tensor:
        mse, cce, _ = self.errors(batch)
        loss: Tensor = self.loss.combine(mse, cce)
        parts = [loss, mse] if cce is None else [loss, mse, cce]
        # Kept on the device and read once an epoch: logging each step costs more than small models.
        # Nothing here may wait for a GPU, as a tensor made of a Python number there would.
        sums = torch.stack([p.detach().sum() for p in parts] + [loss.new_full((), len(loss))])
        self._sums = sums if self._sums is None else self._sums + sums
        if batch.total is None:
            return loss.mean()
        # DDP takes the mean of the processes' gradients: so it is that of the whole batch's mean,
        # whatever the share of each.
        return loss.sum() * (self.trainer.world_size / batch.total)

    def _means(self, stage: str) -> dict[str, float]:
        assert self._sums is not None
        every = self._sums.double()
        if self.trainer.world_size > 1:
            torch.distributed.all_reduce(every)
        *sums, count = every.tolist()
        self._sums = None
        names = ("loss", "mse", "cce")[: len(sums)]
        return {f"{stage}/{name}": value / count for name, value in zip(names, sums, strict=True)}

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """As it is: ``Batches`` cuts batches where they are wanted."""
        return batch

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean loss of a batch."""
        return self._step(batch)

    def on_validation_epoch_start(self) -> None:
        # Validation runs inside the epoch, so the training sums are read first.
        self._train_means = self._means("train") if self._sums is not None else {}

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Adds a batch to the epoch's validation loss."""
        self._step(batch)

    def on_validation_epoch_end(self) -> None:
        means = self._means("val")
        if not torch.isfinite(torch.tensor(means["val/loss"])):
            raise AsdError(
                f"epoch {self.current_epoch}: the validation loss is {means['val/loss']}; training "
                "diverged: lower trainer.learning_rate (the last good checkpoint is kept)"
            )
        optimiser = self.trainer.optimizers[0]
        rate = optimiser.param_groups[0]["lr"]
        self.log_dict({**self._train_means, **means, "learning_rate": rate})
        if self._plateau is not None:
            self._plateau.step(means["val/loss"])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam; the plateau rule is stepped here rather than by the Trainer.

        The Trainer steps it after checkpoints are saved, so that a resumed run would miss one step.
        """
        options = self.trainer_options
        optimiser = torch.optim.Adam(
            self.parameters(), lr=options["learning_rate"], fused=options.get("fused_adam", True)
        )
        if options["plateau"] is not None:
            self._plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimiser,
                factor=options["plateau"]["factor"],
                patience=options["plateau"]["patience"] - 1,
                threshold=0.0,
            )
            if self._plateau_state is not None:
                self._plateau.load_state_dict(self._plateau_state)
        return optimiser

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["asd"] = {
            "format": CHECKPOINT_FORMAT,
            "recipe": self.recipe,
            "plateau": None if self._plateau is None else self._plateau.state_dict(),
            "random_state": _random_state(),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._plateau_state = checkpoint["asd"]["plateau"]
        torch.set_rng_state(checkpoint["asd"]["random_state"]["cpu"])
        if torch.cuda.is_available() and checkpoint["asd"]["random_state"]["cuda"]:
            # The first GPU's, on whichever this process has: several must draw the same.
            torch.cuda.set_rng_state(checkpoint["asd"]["random_state"]["cuda"][0])


def _random_state() -> dict[str, Any]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's content, on the CPU.

    Raises:
        AsdError: it is missing, damaged, or not one of ours.
    """
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        ours = content["asd"]["format"]
    except FileNotFoundError as error:
        raise AsdError(f"{path}: no such checkpoint") from error
    except Exception as error:  # torch.load raises many kinds for damaged files
        raise AsdError(
            f"{path}: cannot be read as a checkpoint ({type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else 'no message'})"
        ) from error
    if ours != CHECKPOINT_FORMAT:
        raise AsdError(f"{path}: checkpoint format {ours}, this version reads {CHECKPOINT_FORMAT}")
    return content


def save_detector(detector: Detector, path: Path) -> None:
    """Write a detector as it scores: weights, standardisation and recipe, no optimiser.

    The file appears whole or not at all.
    """
    ours = {"format": CHECKPOINT_FORMAT, "recipe": detector.recipe}
    temporary = path.with_name(path.name + ".partial")
    torch.save({"asd": ours, "state_dict": detector.state_dict()}, temporary)
    temporary.replace(path)


def load_detector(path: Path) -> Detector:
    """The detector that a checkpoint holds, ready to score.

    Raises:
        AsdError: see ``read_checkpoint``.
    """
    content = read_checkpoint(path)
    detector = Detector(content["asd"]["recipe"])
    try:
        detector.load_state_dict(content["state_dict"])
    except RuntimeError as error:
        raise AsdError(f"{path}: weights do not fit the model: {error}") from error
    return detector.eval()
