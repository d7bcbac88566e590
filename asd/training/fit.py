"""Train one detector: from features to the weights that score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from asd.data.windows import Index
from asd.errors import AsdError
from asd.features import Features
from asd.models.detector import Detector, load_detector, read_checkpoint
from asd.training.checkpoints import EpochCheckpoints
from asd.training.loop import Job, run_trainer
from asd.training.speed import set_threads, step_flop


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


def check_devices(devices: int, device: torch.device) -> None:
    """Refuse more GPUs than there are.

    Raises:
        AsdError: says how many there are.
    """
    if device.type == "cuda" and devices > (there := torch.cuda.device_count()):
        raise AsdError(
            f"trainer.devices={devices}: torch sees {there} GPU{'s' if there > 1 else ''}; "
            f"use trainer.devices={there} or fewer, or look at CUDA_VISIBLE_DEVICES"
        )


def check_precision(precision: str, device: torch.device) -> None:
    """Refuse a precision that the device has no hardware for.

    Raises:
        AsdError: bf16 on a CPU without it (measured 7 to 17 times slower than float32).
    """
    if precision == "bf16-mixed" and device.type == "cpu" and not _cpu_has_bfloat16():
        raise AsdError(
            "trainer.precision=bf16-mixed: this CPU has no bfloat16 arithmetic and would be many "
            "times slower; use trainer.precision=32-true, or a GPU"
        )


def _cpu_has_bfloat16() -> bool:
    """AVX-512 BF16 or AMX."""
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in asked)


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
        options: the config group ``trainer``. With ``devices`` above 1, as many processes train
            together; what they learn is what one would.
        seed: of the shuffling.
        folder: of this detector's checkpoints and history.
        label: for the progress bar.
        on_epoch: told of every epoch, in this process, once its row is on disk. Training goes on
            when it returns; what it raises ends training and is raised here.
        extra: more callbacks of the Trainer; with several devices each process has a copy.

    Returns:
        The detector with the weights that score (``trainer.weights``), in evaluation mode.

    Raises:
        AsdError: the device, the precision or a checkpoint cannot be used, or training diverged.
        KeyboardInterrupt: the user stopped it; ``folder`` has all that resuming needs.
    """
    device, devices = choose_device(options["accelerator"]), options["devices"]
    check_devices(devices, device)
    check_precision(options["precision"], device)
    set_threads(options["threads"], step_flop(detector, options["batch_size"]))
    folder.mkdir(parents=True, exist_ok=True)
    checkpoints = EpochCheckpoints(folder)
    resume = checkpoints.last if checkpoints.last.exists() else None
    if resume is None or not _stopped_early(resume, options["stop_patience"]):
        job = Job(data.train, data.validation, data.classes, options, seed, folder, label, resume)
        values = data.features.values
        if devices == 1:
            run_trainer(job, detector, values, device, on_epoch, extra)
        else:
            from asd.training.ranks import train_together

            train_together(job, detector, values, device.type, on_epoch, extra)
    chosen = checkpoints.best if options["weights"] == "best" else checkpoints.last
    return load_detector(chosen).to(device)


def _stopped_early(last: Path, patience: int | None) -> bool:
    """Whether this checkpoint is of an epoch after which training had ended."""
    content = read_checkpoint(last)
    if patience is None:
        return False
    states = content["callbacks"].items()
    return any(k.startswith("EarlyStopping") and s["wait_count"] >= patience for k, s in states)
