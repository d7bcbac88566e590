"""Which clips train and which are scored, model by model, and the classes they belong to."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import pandas as pd

from asd.data.manifest import Manifest
from asd.errors import AsdError
from asd.experiment.experiment import Experiment

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Clips:
    """The clips of a run: what trains and what is scored."""

    train: Manifest
    test: Manifest

    @classmethod
    def of(cls, experiment: Experiment, compute: bool = False) -> Clips:
        """Make or scan the corpus and choose the run's clips.

        Args:
            experiment: says which.
            compute: of clips that the scan reads for the first time, store the features at once.

        Raises:
            AsdError: there is nothing to train on or nothing to score, or a clip cannot be used.
        """
        splits = [(release, "train") for release in experiment.config["release"]["train"]]
        splits.append((experiment.test_release, "test"))
        reader = experiment.feature_store().reader(splits) if compute else None
        manifest = experiment.corpus.manifest(experiment.releases, reader)
        train = manifest.select(release=experiment.config["release"]["train"], split="train")
        test = manifest.select(release=experiment.test_release, split="test")
        if not len(train):
            raise AsdError(f"{manifest.root}: no training clips in the releases chosen")
        strangers = [m for m in test.machines if m not in train.machines]
        if strangers:
            log.warning("not scored, for they have no training clips: %s", ", ".join(strangers))
            test = test.select(machine=train.machines)
        if not len(test):
            raise AsdError(
                f"{manifest.root}: no test clips in release {experiment.test_release}; "
                "without them nothing can be scored"
            )
        return cls(train, test)

    def data_hash(self) -> str:
        """Hash of all of them."""
        rows = pd.concat([self.train.clips, self.test.clips], ignore_index=True)
        return Manifest(self.train.root, rows).data_hash()

    def groups(self, scope: str) -> dict[str, Clips]:
        """The clips of each model to train: one for all, or one per machine type."""
        if scope == "shared":
            return {"shared": self}
        return {
            machine: Clips(self.train.select(machine=machine), self.test.select(machine=machine))
            for machine in self.train.machines
        }


def shortest_clip(clips: Clips, rate: int) -> int:
    """Samples at ``rate`` Hz in the shortest of all clips."""
    tables = pd.concat([clips.train.clips, clips.test.clips])
    return int(np.floor((tables["samples"] * (rate / tables["rate"])).min()))


def class_names(clips: Manifest, classes: str | None) -> list[str]:
    """Names of the classes of these clips: machine types, or types with IDs; sorted."""
    if classes is None:
        return []
    return sorted(set(_class_of(clips, classes)))


def _class_of(clips: Manifest, classes: str) -> list[str]:
    table = clips.clips
    return list(table["machine"] if classes == "machine" else table["machine"] + "/" + table["id"])


def class_numbers(clips: Manifest, classes: str | None, names: list[str]) -> np.ndarray:
    """[clips] the number of each clip's class among ``names``; -1 where it is none of them."""
    if classes is None:
        return np.zeros(len(clips), dtype=np.int64)
    return pd.Index(names).get_indexer(pd.Index(_class_of(clips, classes)))


def check_classes(experiment: Experiment, clips: Clips) -> None:
    """Refuse to train a classifier on a single class.

    Raises:
        AsdError: names the model and the class.
    """
    if experiment.classes is None:
        return
    others = "IDs" if experiment.classes == "id" else "types, or loss.classes=id"
    for group, part in clips.groups(experiment.scope).items():
        if len(names := class_names(part.train, experiment.classes)) < 2:
            raise AsdError(
                f"loss=semi_supervised: the training clips of {group} are all of one class "
                f"({', '.join(names)}), so there is nothing to classify; use loss=mse, or more "
                f"machine {others}"
            )
