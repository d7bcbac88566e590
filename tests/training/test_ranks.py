"""Real processes on the CPU, over gloo, against one."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import Pipe
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import pytorch_lightning as pl
import torch
from mlflow import MlflowClient

from asd import train as program
from asd.data.windows import Windows
from asd.errors import AsdError
from asd.experiment.history import read_history
from asd.features import Features
from asd.features.batches import Batch
from asd.models.detector import Detector, read_checkpoint
from asd.models.standardiser import Standardiser
from asd.training import ranks
from asd.training.fit import TrainingSet, check_devices, fit
from asd.training.rank import _sendable
from asd.training.ranks import RankDiedError, _listen, _on_disk, _Rank

FRAMES, BANDS, CLIPS = 16, 8, 15
NORM = {"norm_eps": 1e-3, "norm_momentum": 0.1, "initialisation": "glorot_uniform"}
CONV = {
    "_target_": "asd.models.conv_autoencoder.ConvAutoencoder",
    "filters": [4, 6],
    "pooling": [[2, 2], [2, 2]],
    "embedding": 5,
    "kernel": 3,
    "pool": "max",
    "upsampling": "nearest",
    "padding": "zeros",
    "dropout": 0.3,
    **NORM,
}
DENSE = {
    "_target_": "asd.models.dense_autoencoder.DenseAutoencoder",
    "hidden": 12,
    "layers": 2,
    "embedding": 4,
    **NORM,
}
MSE = {"_target_": "asd.models.loss.ReconstructionLoss"}
BOTH = {"_target_": "asd.models.loss.SemiSupervisedLoss", "alpha": 0.5, "beta": 0.5}
# 14 windows train and 1 validates. Batches of 5: 5, 5 and 4, so that the shares of two processes
# differ; of 4: 4, 4, 4 and 2, so that one of three gets nothing of the last.
TRAINER = {
    "max_epochs": 4,
    "batch_size": 5,
    "learning_rate": 1e-3,
    "plateau": {"factor": 0.5, "patience": 1},
    "stop_patience": 50,
    "weights": "best",
    "accelerator": "cpu",
    "devices": 1,
    "precision": "64-true",
    "deterministic": True,
    "threads": None,
    "progress": "lines",
    "memory_format": "auto",
}
Told = list[tuple[int, dict[str, float]]]


def fitted(
    folder: Path,
    model: dict[str, Any],
    loss: dict[str, Any],
    on_epoch: Callable[..., None] = lambda epoch, values: None,
    extra: tuple[pl.Callback, ...] = (),
    **trainer: Any,
) -> tuple[Detector, Told]:
    """A detector, fitted anew or further, and what ``on_epoch`` was told."""
    options = {**TRAINER, **trainer}
    names = ["a", "b"] if loss is BOTH else []
    parts = {"bands": BANDS, "frames": FRAMES, "classes": names}
    torch.manual_seed(0)
    made = Detector(
        {**parts, "model": model, "loss": loss, "trainer": options}, Standardiser.identity(BANDS)
    )
    frames = np.full(CLIPS, FRAMES)
    values = np.random.default_rng(0).standard_normal((CLIPS * FRAMES, BANDS), dtype=np.float32)
    index = Windows(None, FRAMES, "first").starts(FRAMES, frames, [""] * CLIPS)
    training = np.arange(CLIPS) < 14
    data = TrainingSet(
        Features(values, frames),
        index.of_clips(training),
        index.of_clips(~training),
        np.arange(CLIPS) % 2,
    )
    told: Told = []

    def tell(epoch: int, values: dict[str, float]) -> None:
        del values["epoch_seconds"]
        told.append((epoch, values))
        on_epoch(epoch, values)

    return fit(made, data, options, 0, folder, "u", tell, extra), told


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """In the precision of training: the detector that scores is in float32."""
    return read_checkpoint(folder / "last.ckpt")["state_dict"]


def scores(detector: Detector) -> torch.Tensor:
    windows = torch.randn(6, FRAMES, BANDS, generator=torch.Generator().manual_seed(5))
    with torch.inference_mode():
        return detector.errors(Batch(windows, torch.zeros(6, dtype=torch.long)))[0]


def same(got: Told, expected: Told, tolerance: float) -> None:
    assert [epoch for epoch, _ in got] == [epoch for epoch, _ in expected]
    for (_, a), (_, b) in zip(got, expected, strict=True):
        assert a == pytest.approx(b, rel=tolerance)


def test_a_run_of_one_process_goes_on_in_three_as_if_nothing_was(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    options = {"batch_size": 4, "learning_rate": 3e-3}
    alone, expected = fitted(tmp_path / "a", CONV, BOTH, **options)
    fitted(tmp_path / "b", CONV, BOTH, **options, max_epochs=1)
    caplog.clear()
    together, told = fitted(tmp_path / "b", CONV, BOTH, **options, devices=3)
    # the network is in float64; its errors are in float32, and so are the losses that are kept
    same(told, expected[1:], 1e-6)
    assert len(read_history(tmp_path / "b" / "history.csv")) == 4
    assert expected[-1][1]["learning_rate"] < 2e-3  # the plateau rule took part
    torch.testing.assert_close(
        weights(tmp_path / "b"), weights(tmp_path / "a"), rtol=1e-6, atol=1e-6
    )
    torch.testing.assert_close(scores(together), scores(alone), rtol=1e-5, atol=0)
    # what the first process says arrives here, where the run's log is
    assert caplog.text.count("going on at epoch 2") == 1
    assert caplog.text.count("epoch 4/4") == 1
    assert not list((tmp_path / "b").glob("*.partial"))


class AsleepInTheFourthEpoch(pl.Callback):
    def __init__(self, sign: Path) -> None:
        self.sign = sign

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch == 3:
            self.sign.touch()
            time.sleep(600)


def test_a_run_of_two_processes_can_be_stopped_and_goes_on_in_one(tmp_path: Path) -> None:
    ordinary = {"precision": "32-true"}
    alone, expected = fitted(tmp_path / "a", DENSE, MSE, **ordinary)
    sign, told = tmp_path / "asleep", []
    main, own = threading.main_thread().ident, psutil.Process()

    def stop() -> None:
        while not sign.exists():
            time.sleep(0.1)
        for process in ranks_of(own):
            process.terminate()  # as Slurm does to all; they leave it to this process
        signal.pthread_kill(main, signal.SIGINT)  # type: ignore[arg-type]

    threading.Thread(target=stop, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        fitted(
            tmp_path / "b",
            DENSE,
            MSE,
            lambda epoch, values: told.append((epoch, values)),
            extra=(AsleepInTheFourthEpoch(sign),),
            devices=2,
            **ordinary,
        )
    assert ranks_of(own) == []
    same(told, expected[:3], 1e-3)
    again, more = fitted(tmp_path / "b", DENSE, MSE, **ordinary)
    same(more, expected[3:], 1e-3)
    torch.testing.assert_close(scores(again), scores(alone), rtol=1e-2, atol=0)


class KilledInTheSecondEpoch(pl.Callback):
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch == 1 and trainer.global_rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_dies_ends_the_run_and_the_others(tmp_path: Path) -> None:
    with pytest.raises(RankDiedError, match=r"process 2 of 2 was ended by signal 9 \(out of mem"):
        fitted(tmp_path, DENSE, MSE, extra=(KilledInTheSecondEpoch(),), devices=2)
    assert (tmp_path / "last.ckpt").exists()
    assert ranks_of(psutil.Process()) == []


def ranks_of(process: psutil.Process) -> list[psutil.Process]:
    found = []
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # gone, or a zombie
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
    return found


@pytest.fixture
def lines() -> tuple[list[_Rank], list[Any]]:
    """Two processes that are not there, and the ends of the lines that they would have."""
    here, there = zip(*(Pipe() for _ in range(2)), strict=True)
    process = SimpleNamespace(sentinel=os.pipe()[0], exitcode=None)
    return [_Rank(process, line) for line in here], list(there)  # type: ignore[arg-type]


def test_an_error_in_a_process_is_raised_as_it_was(
    lines: tuple[list[_Rank], list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranks, "_GRACE", 0.01)
    mapped = tmp_path / "features"
    mapped.touch()
    told = []
    for line in lines[1]:
        line.send(("mapped", None))
    lines[1][0].send(("epoch", (0, {"train/loss": 1.0})))
    lines[1][1].send(("failed", (_sendable(AsdError("diverged")), "the traceback")))
    with pytest.raises(AsdError, match="diverged") as raised:
        _listen(lines[0], lambda *values: told.append(values), mapped)
    assert "the traceback" in raised.value.__notes__[0]
    assert told == [(0, {"train/loss": 1.0})]
    assert lines[1][0].poll(1)  # the answer
    assert not mapped.exists()


def test_what_is_raised_of_an_epoch_is_raised_here(lines: tuple[list[_Rank], list[Any]]) -> None:
    class EnoughError(Exception):
        pass

    def on_epoch(epoch: int, values: dict[str, float]) -> None:
        raise EnoughError

    lines[1][0].send(("epoch", (0, {})))
    with pytest.raises(EnoughError):
        _listen(lines[0], on_epoch, Path("not mapped"))
    assert not lines[1][0].poll()


def test_features_that_are_in_a_file_are_not_copied(tmp_path: Path) -> None:
    values = np.arange(6.0).reshape(3, 2)
    np.save(tmp_path / "there.npy", values)
    own = tmp_path / "own.npy"
    mapped = np.load(tmp_path / "there.npy", mmap_mode="c")
    for given, expected in ((mapped, tmp_path / "there.npy"), (values, own), (mapped[1:], own)):
        with _on_disk(given, own) as (path, _):
            assert path == expected
            assert np.array_equal(np.load(path), given)
        assert not own.exists()
    assert (tmp_path / "there.npy").exists()


def test_errors_are_sent_whole_or_as_text() -> None:
    class OfTwoError(Exception):
        def __init__(self, a: str, b: str) -> None:
            super().__init__(a + b)

    full = _sendable(OSError(28, "No space left", "last.ckpt"))
    assert isinstance(full, OSError) and full.errno == 28
    assert str(_sendable(OfTwoError("a", "b"))) == "OfTwoError: ab"


def test_the_program_gives_the_same_scores_on_two_devices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["+experiment=ss_0.5", "scale=tiny", "trainer.accelerator=cpu", "pictures=off"]
    few = ["data.machines=[fan,pump]"]
    found = []
    for devices, more in ((1, ["tracking=off"]), (2, [])):
        own = [f"trainer.devices={devices}", f"paths.runs=runs{devices}", *more]
        # float32 lets the weights of a few steps drift, with any change of rounding
        own.append("trainer.precision=64-true")
        monkeypatch.setattr(sys, "argv", ["asd.train", *options, *few, *own])
        program.main()
        (run,) = Path(f"runs{devices}").glob("*/run.json")
        assert json.loads(run.read_text())["status"] == "FINISHED"
        found.append(pd.read_csv(run.with_name("scores.csv")))
    assert list(found[0]["file"]) == list(found[1]["file"])
    assert found[1]["score"].to_numpy() == pytest.approx(found[0]["score"].to_numpy(), rel=1e-6)
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlruns' / 'mlflow.db'}")
    record = json.loads(run.read_text())
    history = client.get_metric_history(record["mlflow"]["run_id"], "val/loss")
    assert [point.step for point in history] == [0, 1]


def test_more_gpus_than_there_are_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(AsdError, match=r"trainer\.devices=3: torch sees 2 GPUs"):
        check_devices(3, torch.device("cuda"))
    check_devices(2, torch.device("cuda"))
    check_devices(3, torch.device("cpu"))
