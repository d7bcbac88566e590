"""A test without labels of a run's models: simulated faults in their validation clips."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from asd.cores import cores
from asd.data.audio import Recording
from asd.data.simulation.clip import generator
from asd.errors import AsdError
from asd.experiment.experiment import Experiment
from asd.experiment.identity import flat
from asd.experiment.listener import RunListener
from asd.experiment.run_folder import RunFolder
from asd.features.store import clip_features
from asd.scoring.clip_scores import joined, write_scores
from asd.scoring.metrics import Metrics, evaluate_scores
from asd.scoring.proxy_faults import with_fault
from asd.scoring.recordings import SCORED, RecordingOptions, RecordingScorer

log = logging.getLogger(__name__)

# Clips with their copies whose features are in memory at a time.
_AT_A_TIME = 128


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
        text = "proxy AUC %.2f %%: simulated faults (%s) in %d validation clips; it ranks, no more"
        log.info(text, 100 * auc, ", ".join(self.options.faults), normals)

    def _scores(self, model: Path, root: Path) -> pd.DataFrame:
        """Of the validation clips of a model as they are, and with faults."""
        known = [v for v in flat(self.experiment.config).values() if isinstance(v, str)]
        scorer = RecordingScorer(model / "model.ckpt", RecordingOptions(1.0), known)
        rows = pd.read_csv(model / "validation.csv", dtype=str).to_dict("records")
        tables = []
        with ThreadPoolExecutor(cores()) as pool:
            for first in range(0, len(rows), _AT_A_TIME):
                some = rows[first : first + _AT_A_TIME]
                copies = pool.map(partial(self._copies, scorer, root), some)
                clips = pd.DataFrame([one for each in copies for one in each]).assign(state=SCORED)
                scored = scorer.scored(clips)
                assert scored is not None  # each has features
                tables.append(scored.table.join(clips[["cause", "level_db"]]))
        return joined(tables)

    def _copies(
        self, scorer: RecordingScorer, root: Path, row: dict[str, str]
    ) -> list[dict[str, object]]:
        """A clip and its copies with faults: path, machine, id, label, features and others."""
        recording, rate = Recording.read(root / row["path"], scorer.channel), scorer.frontend.rate
        values = clip_features(scorer.frontend, recording, "float32")
        normal = {**row, "label": 0, "features": values, "cause": "", "level_db": np.nan}
        made: list[dict[str, object]] = [normal]
        for number in range(self.options.copies):
            rng = generator(int(self.experiment.config["seed"]), "proxy", row["path"], number)
            fault = self.options.faults[int(rng.integers(len(self.options.faults)))]
            weakest, strongest = self.options.level_db
            level = round(float(rng.uniform(weakest, strongest)), 2)
            wave = with_fault(recording.signal(rate), rate, fault, level, rng)
            copy = {"path": f"{row['path']}#{number}", "label": 1, "cause": fault}
            values = scorer.frontend.features(wave)
            made.append({**row, **copy, "level_db": level, "features": values})
        return made
