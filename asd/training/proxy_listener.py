"""A test without labels of a run's models: simulated faults in their validation clips."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytorch_lightning as pl

from asd.cores import cores
from asd.data.audio import Recording
from asd.data.manifest import Manifest
from asd.data.simulation.clip import generator
from asd.errors import AsdError
from asd.experiment.clips import class_numbers
from asd.experiment.experiment import Experiment
from asd.experiment.identity import flat
from asd.experiment.listener import RunListener
from asd.experiment.run_folder import RunFolder
from asd.features.part import Features
from asd.features.store import clip_features
from asd.models.detector import Detector, load_detector
from asd.scoring.clip_scores import joined, write_scores
from asd.scoring.metrics import Metrics, evaluate_scores
from asd.scoring.proxy_faults import with_fault
from asd.scoring.scorer import ClipSet, fit_back_end, score_clips
from asd.scoring.vector_files import VectorFiles

log = logging.getLogger(__name__)


class ProxyListener(RunListener):
    """Writes ``proxy.csv`` (a row a clip, faulty copies labelled 1) and ``proxy`` in ``run.json``.

    ``experiment`` is the run's, which says which faults.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.experiment, self.options = experiment, experiment.proxy
        if isinstance(experiment.scoring.function(), VectorFiles):
            raise AsdError("proxy.faults: scoring=files has no vectors of the copies with faults")

    def finished_before(self, folder: RunFolder) -> None:
        """Test what was not tested yet, or with other options."""
        self._test(folder)

    def scored(self, folder: RunFolder, scores: pd.DataFrame, metrics: Metrics) -> None:
        """Test the models."""
        self._test(folder)

    def _test(self, folder: RunFolder) -> None:
        asked = asdict(self.options)
        chose = "; on these clips it chose the epoch, too" if asked.pop("chooses_epoch") else ""
        if folder.record().get("proxy", {}).get("options") == asked:
            return
        if not all((one / "validation.csv").exists() for one in folder.models() or [folder.path]):
            raise AsdError(f"{folder.path}: lacks models/*/validation.csv, for proxy.faults")
        root = self.experiment.corpus.manifest(self.experiment.releases).root  # scanned before
        table = joined([self._scores(model, root) for model in folder.models()])
        write_scores(folder.path / "proxy.csv", table)
        auc = evaluate_scores(table, self.experiment.scoring.max_fpr).mean["auc"]
        normals = int((table["label"] == 0).sum())
        tags = {**folder.record().get("tags", {}), "proxy_auc": f"{100 * auc:.2f}"}
        folder.update(proxy={"options": asked, "auc": auc}, tags=tags, published=False)
        said = f"simulated faults ({', '.join(self.options.faults)}) in {normals} validation clips"
        log.info("proxy AUC %.2f %%: %s%s; it ranks, no more", 100 * auc, said, chose)

    def _scores(self, model: Path, root: Path) -> pd.DataFrame:
        """Of the validation clips of a model as they are, and with faults."""
        known = [v for v in flat(self.experiment.config).values() if isinstance(v, str)]
        detector = load_detector(model / "model.ckpt", known)
        clips = pd.read_csv(model / "validation.csv", dtype=str, keep_default_na=False)
        tested = proxy_clips(self.experiment, detector, root, clips)
        scored = score_clips(detector, self.experiment.scoring, tested, cores())
        return scored.table.join(tested.table[["cause", "level_db"]])


class ProxyJudge(pl.Callback):
    """Logs each epoch's proxy AUC, which then chooses the epoch that scores.

    ``learnt`` and ``validation`` are what a back end is fitted to after each (``fit_back_end``).
    """

    def __init__(
        self, experiment: Experiment, tested: ClipSet, learnt: ClipSet, validation: ClipSet
    ) -> None:
        self.scoring, self.tested, self.fitted = experiment.scoring, tested, (learnt, validation)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Score ``tested`` as the weights are; ``val/proxy_auc`` is in the epoch's row."""
        detector: Detector = deepcopy(pl_module.detector).float().eval()  # type: ignore
        fit_back_end(detector, self.scoring, *self.fitted, cores())
        scores = score_clips(detector, self.scoring, self.tested, cores()).table
        pl_module.log("val/proxy_auc", evaluate_scores(scores, self.scoring.max_fpr).mean["auc"])


def proxy_clips(
    experiment: Experiment, detector: Detector, root: Path, clips: pd.DataFrame
) -> ClipSet:
    """Clips and copies with faults (label 1), all in memory; their table has cause, level_db."""
    with ThreadPoolExecutor(cores()) as pool:
        made = pool.map(partial(_copies, experiment, root), clips.to_dict("records"))
        table = pd.DataFrame([one for each in made for one in each])
    frames = table["features"].map(len).to_numpy(np.int64)
    features = Features(np.concatenate(list(table.pop("features"))), frames)
    index = experiment.windows.starts(detector.recipe["frames"], frames, list(table["path"]))
    classes = experiment.objective.classes, detector.recipe["classes"]
    return ClipSet(table, features, index, class_numbers(Manifest(root, table), *classes))


def _copies(experiment: Experiment, root: Path, row: dict[str, str]) -> list[dict[str, object]]:
    """A clip and its copies: path, machine, id, label, features [frames, bands] and others."""
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
