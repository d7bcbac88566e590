"""A test without labels of a run's models: simulated faults in their validation clips."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from asd.cores import cores
from asd.errors import AsdError
from asd.experiment.experiment import Experiment
from asd.experiment.identity import flat
from asd.experiment.listener import RunListener
from asd.experiment.run_folder import RunFolder
from asd.models.detector import load_detector
from asd.scoring.clip_scores import joined, write_scores
from asd.scoring.metrics import Metrics, evaluate_scores
from asd.scoring.scorer import score_clips
from asd.training.proxy_clips import proxy_clips

log = logging.getLogger(__name__)


class ProxyListener(RunListener):
    """Writes ``proxy.csv`` (a row a clip, faulty copies labelled 1) and ``proxy`` in ``run.json``.

    ``experiment`` is the run's, which says which faults.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.experiment, self.options = experiment, experiment.proxy
        if isinstance(experiment.scoring.vectors, dict):
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
        text = (
            "proxy AUC %.2f %%: simulated faults (%s) in %d validation clips%s; it ranks, no more"
        )
        log.info(text, 100 * auc, ", ".join(self.options.faults), normals, chose)

    def _scores(self, model: Path, root: Path) -> pd.DataFrame:
        """Of the validation clips of a model as they are, and with faults."""
        known = [v for v in flat(self.experiment.config).values() if isinstance(v, str)]
        detector = load_detector(model / "model.ckpt", known)
        clips = pd.read_csv(model / "validation.csv", dtype=str)
        tested = proxy_clips(self.experiment, detector.recipe, root, clips)
        scored = score_clips(detector, self.experiment.scoring, tested, cores())
        return scored.table.join(tested.table[["cause", "level_db"]])
