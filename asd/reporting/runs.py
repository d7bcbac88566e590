"""Finished runs, as a report needs them: what was run, on which data, and the clips' scores."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asd.errors import AsdError
from asd.experiment.identity import flat, identity
from asd.experiment.run_folder import FINISHED, RunFolder
from asd.scoring.clip_scores import read_scores

if TYPE_CHECKING:
    import pandas as pd

# Of the paper's Tables 1 and 2: its corpus, and the release that it scores.
PAPER_DATA, PAPER_TEST = "dcase2020", "development"
_TAGS = ("experiment", "system", "seed", "data", "simulated", "scale", "test")
_SET_ASIDE = "~"  # in a folder's name: see asd.experiment.run_folder.set_aside


@dataclass(frozen=True)
class Run:
    """A finished run.

    Args:
        folder: holds scores.csv and config.yaml; of a run from MLflow, where they were copied to.
        config: as composed, plain values.
        record: content of run.json.
        tags: experiment, system, seed, data, release, scale, scope, frontend, test and others.
    """

    folder: Path
    config: dict[str, Any]
    record: dict[str, Any]
    tags: dict[str, str]

    @property
    def seed(self) -> int:
        """Seed of the training."""
        return int(self.tags["seed"])

    @property
    def max_fpr(self) -> float:
        """p of the partial AUC that the run was scored with."""
        return float(self.config["scoring"]["max_fpr"])

    @property
    def data_label(self) -> str:
        """What the data is, as every table says it."""
        return str(self.record["data_label"])

    @property
    def simulated(self) -> bool:
        """Whether the sounds were made by a program."""
        return self.tags["simulated"] == "true"

    @property
    def of_the_paper(self) -> bool:
        """Whether its figures may stand beside the published ones: same clips, full training."""
        whole = self.config["data"].get("ids") is None
        demo = self.config["scale"]["demo"]
        tags = self.tags
        return whole and not demo and (tags["data"], tags["test"]) == (PAPER_DATA, PAPER_TEST)

    @cached_property
    def scores(self) -> pd.DataFrame:
        """The clips' scores, sorted by machine, ID and file."""
        frame = read_scores(self.folder / "scores.csv")
        return frame.sort_values(["machine", "id", "file"], ignore_index=True)

    @cached_property
    def settings(self) -> str:
        """Hash of what was run but for the seed: runs that share it are repetitions."""
        config = copy.deepcopy(self.config)
        config.pop("seed", None)
        return identity(config, str(self.record.get("data_hash", self.tags.get("data_hash", ""))))

    @cached_property
    def data_settings(self) -> dict[str, Any]:
        """The options that say which clips are scored."""
        kept = dict(self.config["data"])
        for name in ("root", "workers", "cache", "test"):
            kept.pop(name, None)
        return flat({**kept, "test": self.tags["test"]})

    @cached_property
    def test_key(self) -> str:
        """Runs that share it were scored on the same clips."""
        for dataset in self.record.get("datasets", ()):
            if dataset["context"] == "testing":
                return str(dataset["digest"])
        return json.dumps(self.data_settings, sort_keys=True, default=str)

    @property
    def finished(self) -> float:
        """When it ended, seconds since 1970."""
        ended = self.record.get("ended")
        return (self.folder / "scores.csv").stat().st_mtime if ended is None else ended / 1000

    def matches(self, wanted: dict[str, list[str]]) -> bool:
        """Whether every tag, or option by its dotted name, has one of the values given."""
        known = {**flat(self.config), **self.tags}
        return all(str(known.get(name)) in values for name, values in wanted.items())


@dataclass
class Collection:
    """Finished runs, and what was not used with the reason."""

    runs: list[Run] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, path: Path, name: str, tags: dict[str, str] | None = None, **known: Any) -> None:
        """Take a run in, if it is finished and its files are whole; a folder of no run is none.

        Args:
            path: the run's folder.
            name: what notes call it.
            tags: beside those of its record.
            known: entries of its record that stand above those of ``run.json``.
        """
        import yaml

        folder = RunFolder(path)
        try:
            record = {**folder.record(), **known}
            if record and record.get("status") != FINISHED:
                self.notes.append(f"{name} ({record.get('status')})")
            elif record:
                config = yaml.safe_load(folder.config.read_text())
                all_tags = {**record.get("tags", {}), **(tags or {})}
                self.runs.append(_run(path, config, record, all_tags))
        except (AsdError, OSError, yaml.YAMLError) as error:
            self.notes.append(f"{name} ({error})")


def collect_folder(runs: Path) -> Collection:
    """The finished runs in a folder of run folders, oldest first.

    Raises:
        AsdError: there is no such folder.
    """
    if not runs.is_dir():
        raise AsdError(f"{runs}: no such folder of runs; give --runs DIR, or --tracking-uri URI")
    return collect(p for p in runs.iterdir() if p.is_dir() and _SET_ASIDE not in p.name)


def collect(folders: Iterable[Path]) -> Collection:
    """The finished ones of these run folders, oldest first; what is not used has a note."""
    collection = Collection()
    for path in sorted(folders):
        collection.add(path, path.name)
    collection.runs.sort(key=lambda run: (run.finished, run.folder.name))
    return collection


def _run(path: Path, config: Any, record: dict[str, Any], tags: dict[str, str]) -> Run:
    if not isinstance(config, dict) or not {"data", "scale", "scoring"} <= set(config):
        raise AsdError(f"{path / 'config.yaml'}: not a run's config")
    missing = {*_TAGS, "data_label"} - {*tags, *record}
    if missing:
        raise AsdError(f"{path / 'run.json'}: {', '.join(sorted(missing))} missing")
    run = Run(path, config, record, tags)
    assert len(run.scores)  # read now, so that a damaged file is known
    return run
