"""One model of a run: from its clips to its weights, and from those to its clips' scores."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from asd.cores import cores
from asd.data.split import validation_split
from asd.experiment.clips import Clips, class_names, class_numbers
from asd.experiment.experiment import Experiment
from asd.experiment.history import read_history
from asd.features import FeatureStore, parts_of
from asd.models.detector import Detector, save_detector
from asd.models.scoring_form import scoring_form
from asd.models.standardiser import Standardiser
from asd.pictures.examples import Gallery
from asd.scoring.clip_scores import write_scores
from asd.scoring.score import score_clips
from asd.search.reports import Reports
from asd.tracking.mlflow_run import MlflowRun
from asd.training.fit import TrainingSet, fit


@dataclass(frozen=True)
class OneModel:
    """A model to train on some clips, and to score others with.

    Args:
        experiment: what the run is to do.
        group: the model's name: ``shared``, or its machine type.
        clips: its clips.
        store: their features.
        folder: of its checkpoints, history and scores.
    """

    experiment: Experiment
    group: str
    clips: Clips
    store: FeatureStore
    folder: Path

    @cached_property
    def length(self) -> int:
        """Frames in a window."""
        frontend = self.experiment.frontend
        tables = pd.concat([self.clips.train.clips, self.clips.test.clips])
        shortest = np.floor((tables["samples"] * (frontend.rate / tables["rate"])).min())
        return self.experiment.windows.length(frontend, int(shortest))

    @cached_property
    def classes(self) -> tuple[str | None, list[str]]:
        """What the classes are (machine, id, or None for no classifier), and their names."""
        kind = self.experiment.config["loss"].get("classes")
        return kind, class_names(self.clips.train, kind)

    def train(self, tracker: MlflowRun, reports: Reports) -> Detector:
        """Train it, or go on where the folder says that training stood.

        Args:
            tracker: gets every epoch.
            reports: get it too, and may have seen enough.

        Returns:
            The detector with the weights that score; ``model.ckpt`` holds it.

        Raises:
            AsdError: a clip or a checkpoint cannot be used, or training diverged.
            KeyboardInterrupt: the user stopped it.
            Pruned: the search did.
        """
        config, train = self.experiment.config, self.clips.train
        options, seed = config["trainer"], config["seed"]
        self.folder.mkdir(parents=True, exist_ok=True)
        features = self.store.load(train)
        paths = list(train.clips["path"])
        index = self.experiment.windows.starts(self.length, features.frames, paths)
        held_out = validation_split(
            train, options["validation_fraction"], seed, options["validation_strata"]
        )
        held_out_clips = train.clips[["machine", "id", "path"]][held_out]
        held_out_clips.to_csv(self.folder / "validation.csv", index=False)
        if config["standardise"]:
            standardiser = Standardiser.fit(features, ~held_out)
        else:
            standardiser = Standardiser.identity(self.experiment.frontend.bands)

        def on_epoch(epoch: int, values: dict[str, float]) -> None:
            tracker.log_epoch(self.group, epoch, values)
            reports.epoch(self.group, epoch, values)

        torch.manual_seed(seed)
        system = config["system"]
        detector = fit(
            Detector(self._recipe(), standardiser),
            TrainingSet(
                features,
                index.of_clips(~held_out),
                index.of_clips(held_out),
                class_numbers(train, *self.classes),
            ),
            options,
            seed,
            self.folder,
            system if self.group == "shared" else f"{system} {self.group}",
            on_epoch,
        )
        save_detector(detector, self.folder / "model.ckpt")
        return detector

    def _recipe(self) -> dict[str, object]:
        """What a checkpoint needs besides weights to turn a WAV into a score."""
        config = self.experiment.config
        return {
            "bands": self.experiment.frontend.bands,
            "frames": self.length,
            "classes": self.classes[1],
            "machines": self.clips.train.machines,
            "data_label": self.experiment.data_label,
            "channel": self.store.channel,
            **{part: config[part] for part in ("frontend", "window", "model", "loss", "trainer")},
        }

    def score(self, detector: Detector) -> None:
        """Score the test clips; ``scores.csv`` is written last and says that the model is done.

        Raises:
            AsdError: a clip cannot be scored.
        """
        experiment, scoring = self.experiment, self.experiment.config["scoring"]
        gallery = Gallery(detector, experiment.frontend, experiment.pictures)
        fast = scoring_form(detector, scoring["form"])
        workers = experiment.config["trainer"]["threads"] or cores()
        tables = []
        for part in parts_of(self.clips.test):
            features = self.store.part(part)
            paths = list(part.clips["path"])
            index = experiment.windows.starts(self.length, features.frames, paths)
            numbers = class_numbers(part, *self.classes)
            scores, embeddings = score_clips(
                fast, part, features, index, numbers,
                scoring["score"], scoring["batch_frames"], workers,
            )  # fmt: skip
            gallery.add(features, index, scores, embeddings)
            tables.append(scores)
        gallery.save(self.folder)
        losses = [row["val/loss"] for row in read_history(self.folder / "history.csv")]
        best = experiment.config["trainer"]["weights"] == "best"
        loss = min(losses) if best else losses[-1]
        (self.folder / "validation_loss.txt").write_text(f"{loss!r}\n")
        write_scores(self.folder / "scores.csv", pd.concat(tables, ignore_index=True))
