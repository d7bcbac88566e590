"""What of an epoch is no training step: validation, its end with what is logged, and scoring."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from asd.cores import cores
from asd.experiment.listener import RunListener
from asd.experiment.run_folder import RunFolder
from asd.features.part import Features
from asd.models.detector import Detector
from asd.options import from_config
from asd.scoring.scorer import ClipSet, fit_back_end, score_clips
from asd.scoring.scoring_options import ScoringOptions
from asd.tracking.mlflow_listener import MlflowListener
from asd.tracking.mlflow_store import Tracking
from benchmarks.cases import Case
from benchmarks.ceilings import now


class EpochEnd(pl.Callback):
    """Seconds of an epoch's validation, and from there to the next epoch's first batch."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.validation: list[float] = []
        self.end: list[float] = []
        self._since: float | None = None

    def on_validation_start(self, *args: Any) -> None:
        """The steps are done."""
        self._since = now(self.device)[0]

    def on_validation_end(self, *args: Any) -> None:
        """What follows is the epoch's end: losses, history, checkpoint, tracker."""
        ended = now(self.device)[0]
        assert self._since is not None
        self.validation.append(ended - self._since)
        self._since = ended

    def on_train_epoch_start(self, *args: Any) -> None:
        """The end is over."""
        if self._since is not None:
            self.end.append(now(self.device)[0] - self._since)


def tracker(case: Case, folder: Path) -> RunListener:
    """A real MLflow run in a database of its own; none where there is no MLflow."""
    if importlib.util.find_spec("mlflow") is None:
        print("no MLflow here: an epoch's end is timed without it")
        return RunListener()
    options = {**case.config["tracking"], "uri": f"sqlite:///{folder}/mlflow.db"}
    run = folder / "run"
    run.mkdir()
    listener = MlflowListener(Tracking.of(options))
    listener.started(RunFolder(run), ["shared"])
    return listener


def scoring_seconds(case: Case, detector: Detector, device: torch.device, clips: int) -> float:
    """Of one clip, as a run scores its test clips: features in memory, scores in a table."""
    import pandas as pd

    frames = np.full(clips, case.clip_frames)
    noise = np.random.default_rng(1).standard_normal(
        (int(frames.sum()), case.bands), dtype=np.float32
    )
    names = [str(n) for n in range(clips)]
    table = pd.DataFrame({"machine": "fan", "id": "00", "path": names, "label": 0})
    index = case.windows.starts(case.frames, frames, names)
    options = from_config(ScoringOptions, "scoring", case.config["scoring"])
    threads, numbers = case.options.threads or cores(), np.zeros(clips, dtype=np.int64)
    data = ClipSet(table, Features(noise, frames), index, numbers)
    fit_back_end(detector.to(device), options, data, data, threads)
    best = float("inf")
    for _ in range(3):  # the first also compiles
        start, _ = now(device)
        score_clips(detector.to(device), options, data, threads)
        best = min(best, now(device)[0] - start)
    return best / clips
