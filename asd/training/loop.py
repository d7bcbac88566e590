"""The Trainer: what one process does of the training, alone or as one of several."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.strategies import DDPStrategy

from asd.data.windows import Index
from asd.features.batches import Batches, Place
from asd.models.detector import Detector
from asd.models.shared_layers import share_layers
from asd.training.checkpoints import CheckpointWriter, EpochCheckpoints, in_background
from asd.training.history import EpochProgress, History
from asd.training.speed import StateLayout, prepare, resident

# Longer than anything that one process does while the others wait for it (an epoch's checkpoint,
# a tracking server that does not answer).
PATIENCE = timedelta(hours=1)


@dataclass(frozen=True)
class Job:
    """What every process that trains must know.

    Args:
        train: windows that train.
        validation: windows that validate.
        classes: [clips] class numbers.
        options: the config group ``trainer``.
        seed: of the shuffling.
        folder: of checkpoints and history.
        label: for the progress bar.
        resume: a checkpoint to go on from.
    """

    train: Index
    validation: Index
    classes: np.ndarray
    options: dict[str, Any]
    seed: int
    folder: Path
    label: str
    resume: Path | None


def run_trainer(
    job: Job,
    detector: Detector,
    values: np.ndarray,
    device: torch.device,
    on_epoch: Callable[[int, dict[str, float]], None],
    extra: Sequence[pl.Callback] = (),
    place: Place | None = None,
) -> None:
    """Train to the end; checkpoints and history in ``job.folder`` are the result.

    Args:
        job: what is to be done.
        detector: untrained; changed in place.
        values: [frames, bands] features of all clips.
        device: of this process.
        on_epoch: told of every epoch, in the first process alone.
        extra: more callbacks of the Trainer.
        place: among the processes that train together, whose process group is there; None: alone.

    Raises:
        AsdError: an option cannot be had, or training diverged.
        KeyboardInterrupt: the user stopped it.
    """
    options = job.options
    choice = options.get("checkpoint_in_background", "auto")
    writer = CheckpointWriter(in_background(choice, device))
    callbacks: list[pl.Callback] = [
        History(job.folder / "history.csv", on_epoch),
        EpochProgress(job.label, options["max_epochs"], options["progress"]),
        EpochCheckpoints(job.folder, writer),
        StateLayout(),
        *extra,
    ]
    if options["stop_patience"] is not None:
        patience = options["stop_patience"]
        callbacks.append(pl.callbacks.EarlyStopping("val/loss", patience=patience))
    _quiet()
    prepare(detector, options, device)
    # Lightning's deterministic mode also has every new tensor filled, which nothing here needs.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    trainer = pl.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        max_epochs=options["max_epochs"],
        precision=options["precision"],
        deterministic=options["deterministic"],
        benchmark=not options["deterministic"],
        callbacks=callbacks,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        **_together(place, detector, writer),
    )
    if place is not None:
        # Lightning asks before every step whether another process was stopped, and has a GPU wait
        # for the answer. Here signals reach the calling process alone.
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]
    values_there = resident(values, device, options.get("gpu_share", 0.6))
    size = options["batch_size"]
    train = Batches(values_there, job.train, job.classes, size, job.seed, device, place)
    val = Batches(values_there, job.validation, job.classes, size, device=device, place=place)
    _run(trainer, detector, train, val, job.resume)


def _together(place: Place | None, detector: Detector, writer: CheckpointWriter) -> dict[str, Any]:
    """What the Trainer is told of the processes. Lightning's own environment, named, keeps it from
    finding a Slurm job and setting its handlers there."""
    if place is None:
        return {"devices": 1, "plugins": [LightningEnvironment(), writer]}
    share_layers(detector.network)
    # Buffers are the same in all processes already: batch norm sees the whole batch.
    environment = _Environment(place.rank)
    strategy = DDPStrategy(
        cluster_environment=environment, timeout=PATIENCE, broadcast_buffers=False
    )
    return {"devices": place.ranks, "strategy": strategy, "plugins": [writer]}


class _Environment(LightningEnvironment):
    """Tells Lightning that this process is one of several that were started by us."""

    def __init__(self, rank: int) -> None:
        super().__init__()
        self._rank = rank

    @property
    def creates_processes_externally(self) -> bool:
        return True

    def local_rank(self) -> int:
        return self._rank

    def node_rank(self) -> int:
        return 0


def _run(
    trainer: pl.Trainer, detector: Detector, train: Batches, val: Batches, resume: Path | None
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(detector, _Shuffled(train), val, ckpt_path=resume, weights_only=True)
    except SystemExit as error:
        # Lightning turns Ctrl-C into an exit of the whole program, which would skip our closing.
        if isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__ from None
        raise
    finally:
        signal.signal(signal.SIGINT, handler)


class _Shuffled:
    """Batches under the two names by which the Trainer announces the epoch."""

    def __init__(self, batches: Batches) -> None:
        self.batches = batches
        self.sampler = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Any:
        return iter(self.batches)


def _quiet() -> None:
    """Silence what Lightning says of choices that are made on purpose."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for message in (
        ".*num_workers.*",
        ".*does not have many workers.*",
        ".*LeafSpec.*",
        # of several processes
        ".*sync_dist=True.*",
        ".*`srun` command is available.*",
        ".*broadcast_buffers.*",
        ".*Grad strides do not match.*",  # of dimensions of size 1, which have no stride
    ):
        warnings.filterwarnings("ignore", message=message)
