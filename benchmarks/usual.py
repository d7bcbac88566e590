"""The usual way to train on features: a file a clip, DataLoader workers, a log line a step."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger

from benchmarks.cases import Bare, Case
from benchmarks.ceilings import now


class Usual(pl.LightningModule):
    """The usual LightningModule: plain Adam, a log line in each step."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        """Mean squared error."""
        loss = torch.nn.functional.mse_loss(self.network(batch)[0], batch)
        self.log("train/loss", loss, on_step=True, on_epoch=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.parameters(), lr=1e-3)


class Files(torch.utils.data.Dataset[Any]):
    """One .npy a clip."""

    def __init__(self, files: list[Path]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, item: int) -> Any:
        return np.load(self.files[item])


def usual_ratio(case: Case, bare: Bare, device: torch.device, steps: int, epochs: int) -> float:
    """Wall time of an epoch in the usual way over that of as many steps of the bare loop."""
    ratios: list[float] = []

    class EpochTurns(pl.Callback):
        def on_train_epoch_start(self, *args: Any) -> None:
            self.began = now(device)[0]

        def on_train_epoch_end(self, *args: Any) -> None:
            middle = now(device)[0]
            for _ in range(steps):
                bare.step()
            ratios.append((middle - self.began) / (now(device)[0] - middle))

    with tempfile.TemporaryDirectory() as folder:
        files = []
        for n in range(steps * case.batch_size):
            files.append(Path(folder) / f"{n}.npy")
            np.save(files[-1], bare.windows[n % len(bare.windows)].cpu().numpy())
        loader = torch.utils.data.DataLoader(
            Files(files), batch_size=case.batch_size, shuffle=True, num_workers=2
        )
        trainer = pl.Trainer(
            accelerator="gpu" if device.type == "cuda" else "cpu",
            devices=1,
            max_epochs=epochs,
            logger=CSVLogger(folder),
            log_every_n_steps=1,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            callbacks=[EpochTurns()],
        )
        trainer.fit(Usual(case.detector(plain=True).network), loader)
    return median(ratios)
