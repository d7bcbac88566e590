"""Train one detector: from features to the weights that score."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from asd.data.features import Features
from asd.data.windows import Index
from asd.errors import AsdError
from asd.models.detector import Detector, load_detector, read_checkpoint
from asd.training.batches import Batches
from asd.training.checkpoints import EpochCheckpoints
from asd.training.history import EpochProgress, History
from asd.training.speed import (
    StateLayout,
    prepare,
    resident,
    set_memory_format,
    set_threads,
    step_flop,
)


@dataclass(frozen=True)
class TrainingSet:
    """Features of the clips that train and validate one detector.

    ``train`` and ``validation`` index windows in ``features``; ``classes`` [clips] are numbers.
    """

    features: Features
    train: Index
    validation: Index
    classes: np.ndarray


def choose_device(accelerator: str) -> torch.device:
    """The device of ``trainer.accelerator``.

    Raises:
        AsdError: a GPU is asked for and there is none.
    """
    there = torch.cuda.is_available()
    if accelerator == "gpu" and not there:
        raise AsdError("trainer.accelerator=gpu: torch sees no GPU; use auto or cpu")
    return torch.device("cuda" if there and accelerator != "cpu" else "cpu")


def check_precision(precision: str, device: torch.device) -> None:
    """Refuse a precision that the device has no hardware for.

    Raises:
        AsdError: bf16 on a CPU (measured 17 times slower than float32 where it is emulated).
    """
    if precision == "bf16-mixed" and device.type == "cpu":
        raise AsdError("trainer.precision=bf16-mixed: for GPUs only; use trainer.precision=32-true")


def fit(
    detector: Detector,
    data: TrainingSet,
    options: dict[str, Any],
    seed: int,
    folder: Path,
    label: str,
    on_epoch: Callable[[int, dict[str, float]], None],
    extra: Sequence[pl.Callback] = (),
) -> Detector:
    """Train, or go on where ``folder`` says that training stood.

    Args:
        detector: untrained.
        data: the clips.
        options: the config group ``trainer``.
        seed: of the shuffling.
        folder: of this detector's checkpoints and history.
        label: for the progress bar.
        on_epoch: told of every epoch.
        extra: more callbacks of the Trainer.

    Returns:
        The detector with the weights that score (``trainer.weights``), in evaluation mode.

    Raises:
        AsdError: the device, the precision or a checkpoint cannot be used, or training diverged.
        KeyboardInterrupt: the user stopped it; ``folder`` has all that resuming needs.
    """
    device = choose_device(options["accelerator"])
    check_precision(options["precision"], device)
    set_threads(options["threads"], step_flop(detector, options["batch_size"]))
    folder.mkdir(parents=True, exist_ok=True)
    checkpoints = EpochCheckpoints(folder)
    resume = checkpoints.last if checkpoints.last.exists() else None
    if resume is None or not _stopped_early(resume, options["stop_patience"]):
        callbacks: list[pl.Callback] = [
            History(folder / "history.csv", on_epoch),
            EpochProgress(label, options["max_epochs"], options["progress"]),
            checkpoints,
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
            devices=options["devices"],
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
        )
        values = resident(data.features.values, device, options.get("gpu_share", 0.6))
        size = options["batch_size"]
        train = Batches(values, data.train, data.classes, size, seed, device)
        validation = Batches(values, data.validation, data.classes, size, device=device)
        _run(trainer, detector, train, validation, resume)
    chosen = checkpoints.best if options["weights"] == "best" else checkpoints.last
    trained = load_detector(chosen).to(device)
    set_memory_format(trained, options.get("memory_format", "auto"), device)
    return trained


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


def _stopped_early(last: Path, patience: int | None) -> bool:
    """Whether this checkpoint is of an epoch after which training had ended."""
    content = read_checkpoint(last)
    if patience is None:
        return False
    states = content["callbacks"].items()
    return any(k.startswith("EarlyStopping") and s["wait_count"] >= patience for k, s in states)


def _quiet() -> None:
    """Silence what Lightning says of choices that are made on purpose."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for message in (".*num_workers.*", ".*does not have many workers.*", ".*LeafSpec.*"):
        warnings.filterwarnings("ignore", message=message)
