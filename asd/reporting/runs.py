"""Finished runs, as a report needs them: what was run, on which data, and the clips' scores."""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from asd.errors import AsdError
from asd.experiment.history import read_history
from asd.experiment.identity import MISSING, SCORING_VERSIONS, TRAINING_VERSIONS, flat, settings
from asd.experiment.run_folder import FINISHED, SET_ASIDE, RunFolder
from asd.experiment.run_labels import options_of
from asd.files import check_regular
from asd.options import check_number
from asd.scoring.clip_scores import NO_TEST_CLIPS, read_scores

_TAGS = ("experiment", "system", "seed", "data", "simulated", "scale", "test")


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run: its config as plain values, its ``run.json``, the tags in that, and the
    clips' scores sorted by machine, ID and file."""

    folder: Path
    config: dict[str, Any]
    record: dict[str, Any]
    tags: dict[str, str]
    scores: pd.DataFrame

    @property
    def seed(self) -> int:
        """Of the training."""
        return int(self.tags["seed"])

    @property
    def simulated(self) -> bool:
        """Whether the sounds were made by a program."""
        return self.tags["simulated"] == "true"

    @property
    def command(self) -> str:
        """That started it."""
        return str(self.record.get("command", ""))

    @property
    def commit(self) -> str:
        """Of the code that made it; with "+" where files had been changed."""
        return str(self.tags.get("mlflow.source.git.commit", "unknown"))

    @cached_property
    def options(self) -> dict[str, Any]:
        """Its options by their dotted names, and its tags."""
        return {**flat(self.config), **self.tags}

    @property
    def corpus(self) -> tuple[str, ...]:
        """Runs that share it share tables: the data's label, and what else tells it apart."""
        digests = {one["context"]: one["digest"] for one in self.record.get("datasets", ())}
        test = digests.get("testing", self.record.get("data_hash"))
        apart = f"data={self.tags['data']}", f"scale={self.tags['scale']}", f"test clips {test}"
        return self.record["data_label"], *apart

    @property
    def is_trial(self) -> bool:
        """Whether a search began it; a sweep's run that a search took as it was is none."""
        return "trial" in self.tags and not self.record.get("sweep")

    @cached_property
    def numbers(self) -> dict[str, float]:
        """What it came to and took, NaN where that is not known.

        validation_loss (NaN: nothing trains), multiply_adds (of the networks on a clip) and
        latency_ms are means over its models; proxy_auc is on simulated faults (docs/search.md);
        training_seconds and energy_kj (of a GPU), of all epochs, and parameters, which are trained,
        are sums: 0 where nothing trains.
        """
        ended = (self.record.get("convergence") or {}).values()
        losses = [how["validation_loss"] for how in ended if "validation_loss" in how]
        histories = [read_history(of / "history.csv") for of in RunFolder(self.folder).models()]
        known = histories and (all(histories) or not losses)  # a lost one is not 0 s
        epochs = [row for rows in histories for row in rows]
        seconds = [row["epoch_seconds"] for row in epochs]
        joules = [row.get("epoch_joules", math.nan) for row in epochs]
        parameters, multiply_adds, latency = (
            [*(self.record.get(name) or {}).values()]
            for name in ("parameters", "multiply_adds", "latency_ms")
        )
        return {
            "validation_loss": float(np.mean(losses or math.nan)),
            "proxy_auc": float(self.record.get("proxy", {}).get("auc", math.nan)),
            "training_seconds": math.fsum(seconds) if known else math.nan,
            "parameters": float(np.sum(parameters or math.nan)),
            "multiply_adds": float(np.mean(multiply_adds or math.nan)),
            "latency_ms": float(np.mean(latency or math.nan)),
            "energy_kj": math.fsum(joules) / 1000 if known else math.nan,
        }

    @property
    def not_converged(self) -> list[str]:
        """Its models that were still getting better when their training ended."""
        models = self.record.get("convergence") or {}
        return [name for name, how in models.items() if not how.get("converged", True)]

    @property
    def is_of_this_code(self) -> bool:
        """Whether code of today's versions made it, as far as it says."""
        today = {**TRAINING_VERSIONS, **SCORING_VERSIONS}
        versions = dict(self.record.get("versions") or today)
        return all(versions.get(name) == version for name, version in today.items())

    @property
    def unseen(self) -> list[str]:
        """Machine IDs that it scores without a clip of theirs in training, as ``fan/id_01``."""
        return [str(name) for name in self.record.get("unseen") or ()]

    @property
    def threads(self) -> str:
        """With how many its models were trained; empty: not known."""
        known = {n for of in self.record.get("threads", {}).values() for n in of}
        return ", ".join(map(str, sorted(known)))

    @property
    def finished(self) -> float:
        """When it ended, seconds since 1970."""
        ended = self.record.get("ended")
        return (self.folder / "scores.csv").stat().st_mtime if ended is None else ended / 1000

    def matches(self, wanted: dict[str, list[str]]) -> bool:
        """Whether each of these tags and options has one of the values as typed, a list all."""
        for name, texts in wanted.items():
            values = *map(_read, texts), _read(f"[{','.join(texts)}]")
            if self.options.get(name, MISSING) not in [*texts, texts, *values]:
                return False
        return True


class Collection(NamedTuple):
    """Finished runs, and what was not used with the reason."""

    runs: list[Run]
    notes: list[str]


def collect_folder(runs: Path) -> Collection:
    """The finished runs in a folder of run folders, oldest first.

    Raises:
        AsdError: there is no such folder.
    """
    if not runs.is_dir():
        raise AsdError(f"{runs}: no such folder of runs; give runs=DIR")
    return collect(p for p in runs.iterdir() if p.is_dir() and SET_ASIDE not in p.name)


def collect(folders: Iterable[Path]) -> Collection:
    """The finished ones of these run folders, oldest first; what is not used has a note."""
    collection = Collection([], [])
    for path in sorted(folders):
        try:
            if record := RunFolder(path).record():  # a folder of no run is none
                collection.runs.append(_run(path, record))
        except (AsdError, OSError, yaml.YAMLError, ValueError, RecursionError) as error:
            collection.notes.append(f"{path.name} ({error})")
    collection.runs.sort(key=lambda run: (run.finished, run.folder.name))
    return collection


def _read(text: str) -> Any:
    """A value as typed; what cannot be read is a text."""
    with suppress(OmegaConfBaseException, yaml.YAMLError):
        return OmegaConf.from_dotlist([f"x={text}"]).x
    return text


def _run(path: Path, record: dict[str, Any]) -> Run:
    if record.get("status") != FINISHED:
        raise AsdError(str(record.get("status")))
    check_regular(path / "config.yaml")
    config = yaml.safe_load((path / "config.yaml").read_text())
    if not isinstance(config, dict) or not {"data", "scale", "scoring", "identity"} <= set(config):
        raise AsdError(f"{path / 'config.yaml'}: not a run's config")
    tags = record.get("tags", {})
    if missing := {*_TAGS, "data_label"} - {*tags, *record}:
        raise AsdError(f"{path / 'run.json'}: {', '.join(sorted(missing))} missing")
    scores = read_scores(path / "scores.csv").sort_values(["machine", "id", "file"])
    if (scored := record.get("clips_scored", len(scores))) != len(scores):
        raise AsdError(f"scores.csv has {len(scores)} of {scored} clips: copy the folder again")
    if scores.empty:
        raise AsdError(NO_TEST_CLIPS)
    run = Run(path, config, record, tags, scores.reset_index(drop=True))
    try:  # whatever a report asks later
        _ = hash(run.corpus), settings(config), options_of(run.command)
        told = property, cached_property
        _ = [getattr(run, name) for name, of in vars(Run).items() if isinstance(of, told)]
        _ = config["data"].items(), config["scale"].items()
        check_number("scoring.max_fpr", config["scoring"]["max_fpr"], 0, 1, above=True)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise AsdError(f"damaged: {error!r}") from error
    return run
