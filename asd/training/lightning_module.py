"""The LightningModule: a detector with its loss, optimiser and plateau rule."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from asd.errors import AsdError
from asd.experiment.trainer_options import TrainerOptions
from asd.features.batches import Batch
from asd.models.detector import CHECKPOINT_FORMAT, Detector


class DetectorTraining(pl.LightningModule):
    """Trains a detector in place.

    Args:
        detector: untrained. Its weights are called ``detector.*`` in checkpoints of training.
        options: of the optimiser.
    """

    def __init__(self, detector: Detector, options: TrainerOptions) -> None:
        super().__init__()
        self.detector = detector
        self.options = options
        self._plateau: torch.optim.lr_scheduler.ReduceLROnPlateau | None = None
        self._plateau_state: dict[str, Any] | None = None
        self._sums: Tensor | None = None
        self._parts: list[str] = []
        self._train_means: dict[str, float] = {}

    def _step(self, batch: Batch) -> Tensor:
        windows = self.detector.outputs(batch)
        loss: Tensor = self.detector.loss.combine(windows.mse, windows.cce)
        named = {"loss": loss, "mse": windows.mse, "cce": windows.cce}
        parts = {name: part for name, part in named.items() if part is not None}
        # Kept on the device and read once an epoch: logging each step costs more than small models.
        # Nothing here may wait for a GPU, as a tensor made of a Python number there would.
        count = loss.new_full((), len(loss))
        sums = torch.stack([*(part.detach().sum() for part in parts.values()), count])
        self._sums = sums if self._sums is None else self._sums + sums
        self._parts = list(parts)
        return loss.mean()

    def _means(self, stage: str) -> dict[str, float]:
        assert self._sums is not None
        *sums, count = self._sums.double().tolist()
        self._sums = None
        named = zip(self._parts, sums, strict=True)
        return {f"{stage}/{name}": value / count for name, value in named}

    def on_train_start(self) -> None:
        # A checkpoint of another device may have another memory format, and the fused optimiser
        # reads parameters and their state as they lie in memory.
        for parameter, state in self.trainer.optimizers[0].state.items():
            for name, value in state.items():
                same_shape = torch.is_tensor(value) and value.shape == parameter.shape
                if same_shape and value.stride() != parameter.stride():
                    state[name] = torch.empty_like(parameter).copy_(value).detach()

    def on_train_epoch_start(self) -> None:
        batches: Any = self.trainer.train_dataloader
        batches.epoch = self.current_epoch

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """As it is: ``Batches`` cuts batches where they are wanted."""
        return batch

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean loss of a batch."""
        share = getattr(self.detector.loss, "mixup", 0.0)
        return self._step(batch.mixed(share, len(self.detector.recipe["classes"])))

    def on_validation_epoch_start(self) -> None:
        # Validation runs inside the epoch, so the training sums are read first.
        self._train_means = self._means("train") if self._sums is not None else {}
        if self.trainer.num_training_batches < self.options.exact_norm_steps:
            self._recompute_norms()

    @torch.no_grad()
    def _recompute_norms(self) -> None:
        """Batch norm's statistics of the weights as they are: means over the epoch's batches.

        Running averages are of the weights of the last hundred steps (at the paper's momentum):
        many epochs, where these are short.
        """
        norms = [m for m in self.detector.modules() if isinstance(m, _BatchNorm)]
        momenta = [norm.momentum for norm in norms]
        seen, precision, batches = 0, self.trainer.precision_plugin, self.trainer.train_dataloader
        with precision.forward_context():
            for batch in map(precision.convert_input, batches):  # type: ignore[arg-type]
                seen += len(batch.features)
                for norm in norms:
                    norm.train().momentum = len(batch.features) / seen
                features = self.detector.standardiser(batch.features)
                # Not the compiled form, which would be compiled again for this.
                embedding = self.detector.network.forward(features)[1]
                if self.detector.classifier is not None:
                    self.detector.classifier(embedding)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.eval().momentum = momentum

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
        for group in optimiser.param_groups:
            group["lr"] *= self.options.rate_decay

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam, AdamW with a weight decay; the plateau rule is stepped here, not by the Trainer.

        The Trainer steps it after checkpoints are saved, so that a resumed run would miss one step.
        """
        options = self.options
        optimiser = torch.optim.AdamW(
            self.parameters(),
            lr=options.learning_rate,
            betas=(options.adam_beta1, options.adam_beta2),
            eps=options.adam_epsilon,
            weight_decay=options.weight_decay,
            fused=options.fused_adam,
        )
        if options.plateau is not None:
            self._plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimiser,
                factor=options.plateau["factor"],
                patience=options.plateau["patience"] - 1,
                threshold=options.plateau["min_delta"],
                threshold_mode="abs",
            )
            if self._plateau_state is not None:
                self._plateau.load_state_dict(self._plateau_state)
        return optimiser

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        checkpoint["asd"] = {
            "format": CHECKPOINT_FORMAT,
            "recipe": self.detector.recipe,
            "plateau": None if self._plateau is None else self._plateau.state_dict(),
            "random_state": {"cpu": torch.get_rng_state(), "cuda": cuda},
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._plateau_state = checkpoint["asd"]["plateau"]
        random_state = checkpoint["asd"]["random_state"]
        torch.set_rng_state(random_state["cpu"])
        if torch.cuda.is_available() and random_state["cuda"]:
            torch.cuda.set_rng_state(random_state["cuda"][0])
