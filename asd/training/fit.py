"""Train one detector: from features to the weights that score."""

from __future__ import annotations

import gc
import logging
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment

from asd.data.windows import Index
from asd.errors import AsdError
from asd.experiment.trainer_options import TrainerOptions
from asd.features.batches import Batches
from asd.features.part import Features
from asd.models.detector import Detector, read_checkpoint, rebuilt
from asd.progress import progress_bar
from asd.training.checkpoints import EpochCheckpoints
from asd.training.lightning_module import DetectorTraining
from asd.training.proxy_listener import ProxyJudge
from asd.training.speed import (
    choose_device,
    prepare,
    resident,
    set_determinism,
    set_threads,
    step_flop,
)

log = logging.getLogger(__name__)

# What taking up a damaged checkpoint raises, in torch and Lightning.
_DAMAGED = (LookupError, TypeError, ValueError, AttributeError, RuntimeError)


@dataclass(frozen=True)
class TrainingSet:
    """Features of the clips that train and validate one detector.

    ``train`` and ``validation`` index windows in ``features``; ``classes`` [clips] are numbers.
    """

    features: Features
    train: Index
    validation: Index
    classes: np.ndarray


def fit(
    detector: Detector,
    data: TrainingSet,
    options: TrainerOptions,
    seed: int,
    folder: Path,
    on_epoch: Callable[[int, dict[str, float]], None],
    callbacks: Sequence[pl.Callback] = (),
    label: str = "training",
) -> Detector:
    """Train, or go on where ``folder`` says that training stood.

    Args:
        detector: untrained; changed in place.
        data: the clips.
        options: of the Trainer.
        seed: of the shuffling.
        folder: of this detector's checkpoints and history.
        on_epoch: told of every epoch once its row is on disk. Training goes on when it returns;
            what it raises ends training and is raised here.
        callbacks: more of them for the Trainer.
        label: of the progress shown.

    Returns:
        The detector with the weights that score (``trainer.weights``), in evaluation mode.

    Raises:
        AsdError: the device, the precision or a checkpoint cannot be used, or training diverged.
        KeyboardInterrupt: the user stopped it; ``folder`` has all that resuming needs.
    """
    device = choose_device(options)
    set_determinism(options.deterministic)
    set_threads(options.threads, step_flop(detector, options.batch_size))
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(".*.partial"):  # of a process that was killed
        leftover.unlink()
    resume = last if (last := folder / "last.ckpt").exists() else None
    done, ended = _progress(resume, options.stop_patience) if resume else (0, False)
    if not ended:
        prepare(detector, options, device)
        values = resident(data.features.values, device, options.gpu_share)
        size = options.batch_size
        train = Batches(values, data.train, data.classes, size, seed, device)
        val = Batches(values, data.validation, data.classes, size, device=device)
        module = DetectorTraining(detector, options)
        if done:
            log.info("%s: going on at epoch %d", label, done + 1)
        steps = len(train) + 1  # the last of an epoch: it is validated and saved
        total = options.max_epochs * steps
        with progress_bar(label, total, options.progress, done * steps) as advance:
            checkpoints = EpochCheckpoints(folder, on_epoch, advance)
            each = pl.callbacks.LambdaCallback(on_train_batch_end=lambda *_: advance(1))
            trainer = _trainer(options, device, [*callbacks, each, checkpoints])
            try:
                with _interruptible():
                    trainer.fit(module, train, val, ckpt_path=resume, weights_only=True)
            except _DAMAGED as error:
                if resume is None or checkpoints.begun or isinstance(error, torch.OutOfMemoryError):
                    raise
                raise _useless(resume, error) from error
        # Callbacks, some of which live on, have the module's `log`, and so would keep the Trainer
        # with features and optimiser, on the GPU too; these refer to one another besides.
        module.trainer = None
        del trainer, values, train, val, module
        gc.collect()
    return rebuilt(detector.recipe, folder / f"{options.weights}.ckpt").to(device)


def _trainer(
    options: TrainerOptions, device: torch.device, callbacks: Sequence[pl.Callback]
) -> pl.Trainer:
    # Lightning says what was chosen on purpose.
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    known = ("LeafSpec", "`srun` command", "GPU available but")
    warnings.filterwarnings("ignore", message=f".*({'|'.join(known)})")
    if options.stop_patience is not None:
        by_proxy = any(isinstance(one, ProxyJudge) for one in callbacks)
        watched, mode = ("val/proxy_auc", "max") if by_proxy else ("val/loss", "min")
        stopping = pl.callbacks.EarlyStopping(watched, patience=options.stop_patience, mode=mode)
        callbacks = [*callbacks, stopping]
    return pl.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1,
        max_epochs=options.max_epochs,
        precision=options.precision,  # type: ignore[arg-type]
        callbacks=list(callbacks),
        # Its own environment, named, keeps it from finding a Slurm job and setting handlers there.
        plugins=LightningEnvironment(),
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def _progress(last: Path, patience: int | None) -> tuple[int, bool]:
    """The epochs that this checkpoint has seen, and whether training had ended early with them."""
    content = read_checkpoint(last)
    try:
        waits = [state.get("wait_count", 0) for state in content.get("callbacks", {}).values()]
        return int(content["epoch"]) + 1, patience is not None and max(waits, default=0) >= patience
    except _DAMAGED as error:
        raise _useless(last, error) from error


def _useless(last: Path, error: Exception) -> AsdError:
    return AsdError(
        f"{last}: cannot be gone on from ({error!r:.300}); remove {last.parent}, and the same "
        "command trains this model again"
    )


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C through: Lightning turns it into an exit of the program, without our closing."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__ from None
        raise
    finally:
        signal.signal(signal.SIGINT, handler)
