"""Validation clips and copies of them with simulated faults: what tests a detector in training."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl

from asd.cores import cores
from asd.data.audio import Recording
from asd.data.manifest import Manifest
from asd.data.simulation.clip import generator
from asd.experiment.clips import class_numbers
from asd.experiment.experiment import Experiment
from asd.features import Features, clip_features
from asd.models.detector import Detector
from asd.scoring.metrics import evaluate_scores
from asd.scoring.proxy_faults import with_fault
from asd.scoring.scorer import ClipSet, fit_back_end, score_clips


def proxy_clips(
    experiment: Experiment, recipe: dict[str, Any], root: Path, clips: pd.DataFrame
) -> ClipSet:
    """Clips and copies of them with faults (label 1), in memory; the table has cause and level_db.

    ``recipe`` is the detector's; ``clips`` have machine, id and path under ``root``.
    """
    with ThreadPoolExecutor(cores()) as pool:
        made = pool.map(partial(_copies, experiment, root), clips.to_dict("records"))
        table = pd.DataFrame([one for each in made for one in each])
    frames = table["features"].map(len).to_numpy(np.int64)
    features = Features(np.concatenate(list(table.pop("features"))), frames)
    index = experiment.windows.starts(recipe["frames"], frames, list(table["path"]))
    classes = experiment.objective.classes, recipe["classes"]
    return ClipSet(table, features, index, class_numbers(Manifest(root, table), *classes))


def _copies(experiment: Experiment, root: Path, row: dict[str, str]) -> list[dict[str, object]]:
    options, frontend = experiment.proxy, experiment.frontend
    recording = Recording.read(root / row["path"], experiment.corpus.channel)
    values = clip_features(frontend, recording, "float32")
    made = [{**row, "label": 0, "features": values, "cause": "", "level_db": np.nan}]
    for number in range(options.copies):
        rng = generator(int(experiment.config["seed"]), "proxy", row["path"], number)
        fault = options.faults[int(rng.integers(len(options.faults)))]
        weakest, strongest = options.level_db
        level = round(float(rng.uniform(weakest, strongest)), 2)
        wave = with_fault(recording.signal(frontend.rate), frontend.rate, fault, level, rng)
        copy = {"path": f"{row['path']}#{number}", "label": 1, "cause": fault}
        made.append({**row, **copy, "level_db": level, "features": frontend.features(wave)})
    return made


class ProxyJudge(pl.Callback):
    """Logs the proxy AUC of each epoch, by which the epoch that scores is chosen then.

    Args:
        experiment: how clips are scored.
        tested: of ``proxy_clips``.
        learnt, validation: what a back end is fitted to after each epoch (``fit_back_end``).
    """

    def __init__(
        self, experiment: Experiment, tested: ClipSet, learnt: ClipSet, validation: ClipSet
    ) -> None:
        self.scoring, self.tested = experiment.scoring, tested
        self.learnt, self.validation = learnt, validation

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log it; ``val/proxy_auc`` is in the epoch's row."""
        trained: Detector = pl_module.detector  # type: ignore[assignment]
        detector = deepcopy(trained).float().eval()
        fit_back_end(detector, self.scoring, self.learnt, self.validation, cores())
        scores = score_clips(detector, self.scoring, self.tested, cores()).table
        pl_module.log("val/proxy_auc", evaluate_scores(scores, self.scoring.max_fpr).mean["auc"])
