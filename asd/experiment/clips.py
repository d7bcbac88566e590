"""Which clips train and which are scored, model by model, and the classes they belong to."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass, replace
from logging.handlers import BufferingHandler
from pathlib import Path

import numpy as np
import pandas as pd

from asd.data.audio import resampled_length
from asd.data.manifest import Manifest, check_machine, repeated
from asd.data.scan import report_bad_clips
from asd.data.simulation.build import CAUSES
from asd.errors import AsdError
from asd.experiment.experiment import Experiment
from asd.scoring.window_scores import OF_CLASSES

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Clips:
    """The clips of a run: what trains and what is scored.

    ``warnings`` is all that was said of them: what was left out, what is odd.
    """

    train: Manifest
    test: Manifest
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, experiment: Experiment) -> Clips:
        """Make or scan the corpus and choose the run's clips.

        Raises:
            AsdError: there is nothing to train on, or a clip cannot be used.
        """
        kept = BufferingHandler(sys.maxsize)  # for the run's record and its tables
        kept.setLevel(logging.WARNING)
        logging.getLogger().addHandler(kept)
        try:
            clips = cls._chosen(experiment)
        finally:
            logging.getLogger().removeHandler(kept)
        return replace(clips, warnings=tuple(said.getMessage() for said in kept.buffer))

    @classmethod
    def _chosen(cls, experiment: Experiment) -> Clips:
        manifest = _with_frames(experiment, experiment.corpus.manifest(experiment.releases))
        for machine in manifest.machines:
            check_machine(machine, manifest.root)
        train = manifest.select(release=experiment.config["release"]["train"], split="train")
        test = manifest.select(release=experiment.test_release, split="test")
        if not len(train):
            raise AsdError(f"{manifest.root}: no training clips in the releases chosen")
        strangers = [m for m in test.machines if m not in train.machines]
        if strangers:
            log.warning("not scored, for they have no training clips: %s", ", ".join(strangers))
            test = test.select(machine=train.machines)
        if not len(test):
            text = "%s: no test clips in release %s: the run has no scores and no AUC"
            log.warning(text, manifest.root, experiment.test_release)
        clips = cls(train, test)
        for sentence in repeated(Manifest(manifest.root, clips._rows())):
            log.warning("%s: %s", manifest.root, sentence)
        if unseen := clips.unseen():
            text = "no training clip is of these machine IDs, whose test clips are scored: %s"
            log.warning(text, ", ".join(unseen))
        return clips

    def _rows(self) -> pd.DataFrame:
        return pd.concat([self.train.clips, self.test.clips], ignore_index=True)

    def data_hash(self) -> str:
        """Hash of all of them."""
        return Manifest(self.train.root, self._rows()).data_hash()

    def unseen(self) -> list[str]:
        """Machine IDs that are scored and of which no clip trains, as ``fan/id_01``."""
        trained = machine_ids(self.train)
        return [f"{m}/id_{i}" for m, i in machine_ids(self.test) if (m, i) not in trained]

    def with_causes(self, scores: pd.DataFrame) -> pd.DataFrame:
        """Scores of test clips of a simulated corpus with ``cause`` and ``strength`` (0 to 1) of
        their faults; normal clips have neither."""
        file = self.test.root / "".join(self.test.clips["release"][:1]) / CAUSES
        if not file.is_file():  # opened as another corpus, from a folder inside
            return scores
        causes = pd.read_csv(file).rename(columns={"path": "file"})
        return scores.merge(causes, on="file", how="left")

    def groups(self, scope: str) -> dict[str, Clips]:
        """The clips of each model: for all, of a type, or of an ID (those tested, if any are)."""
        if scope == "shared":
            return {"shared": self}
        chosen = {machine: {"machine": machine} for machine in self.train.machines}
        if scope == "per_id":
            ids = machine_ids(self.test if len(self.test) else self.train)
            chosen = {f"{m}_id_{own}": {"machine": m, "id": own} for m, own in ids}
        return {
            name: Clips(self.train.select(**which), self.test.select(**which))
            for name, which in chosen.items()
        }

    def around(self, group: Clips, experiment: Experiment) -> Manifest:
        """All training clips of a group's machine types; where it takes outliers, of its source."""
        machines = group.train.machines
        if experiment.takes_outliers:
            source = experiment.objective.source
            machines = [m for m in self.train.machines if source(m) == source(machines[0])]
        return self.train.select(machine=machines)


def _with_frames(experiment: Experiment, manifest: Manifest) -> Manifest:
    """The clips that have a frame: shorter ones are bad clips, as those that cannot be read."""
    frontend, clips, problems = experiment.frontend, manifest.clips, dict[Path, str]()
    paths = [manifest.root / path for path in clips["path"]]
    for path, samples, rate in zip(paths, clips["samples"], clips["rate"], strict=True):
        try:
            frontend.n_frames(resampled_length(samples, rate, frontend.rate))
        except AsdError as error:
            problems[path] = f"{path}: {error}"
    report_bad_clips(manifest.root, problems, experiment.config["data"].get("on_bad_clip"))
    kept = clips[[path not in problems for path in paths]]
    return Manifest(manifest.root, kept.reset_index(drop=True))


def machine_ids(clips: Manifest) -> list[tuple[str, str]]:
    """The machine types and IDs that these clips are of, sorted."""
    return sorted(set(zip(clips.clips["machine"], clips.clips["id"], strict=True)))


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
    """Refuse to train a classifier on a single class, or to score by it what is of no class.

    Raises:
        AsdError: names the model and the class, or the machine IDs.
    """
    score, unseen = experiment.scoring.score, clips.unseen()
    classes = score in OF_CLASSES and experiment.objective.classes == "id"
    if unseen and (classes or experiment.scope == "per_id"):
        raise AsdError(
            f"scoring.score={score}, scope={experiment.scope}: no training clip is of "
            f"{', '.join(unseen)}, which need classes or models of their own; use release=full, "
            "another scoring or scope, or loss.classes=machine"
        )
    if experiment.objective.classes is None:
        return
    others = "IDs" if experiment.objective.classes == "id" else "types, or loss.classes=id"
    for group, part in clips.groups(experiment.scope).items():
        told_apart = clips.around(part, experiment) if experiment.takes_outliers else part.train
        if len(names := class_names(told_apart, experiment.objective.classes)) < 2:
            raise AsdError(
                f"loss: the training clips of {group} are all of one class ({', '.join(names)}), "
                f"so there is nothing to classify; use loss=mse, or more machine {others}"
            )
        if hasattr(experiment.objective, "check"):
            experiment.objective.check(names)
