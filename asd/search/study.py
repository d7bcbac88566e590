"""What a search asks, and the study that keeps its trials: the same search is the same study."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import optuna
from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

from asd.composition import build, plain
from asd.errors import AsdError
from asd.experiment.experiment import Experiment
from asd.experiment.identity import identity
from asd.options import check_whole, from_config
from asd.search.objectives import (
    COLUMNS,
    LARGE,
    check_comparable,
    check_objectives,
    selected_on,
)
from asd.search.space import Space
from asd.search.storage import UNREADABLE, HeartbeatStorage, connect, reaching
from asd.sweeps.cells import Cells

_NO_PRUNER = {"_target_": "optuna.pruners.NopPruner"}


@dataclass(frozen=True)
class SearchOptions:
    """See ``conf/hydra/sweeper/optuna.yaml``, whose names these are."""

    sampler: dict[str, Any]
    pruner: dict[str, Any]
    storage: str | None
    study_name: str | None
    n_trials: int
    failure_grace: int
    dead_after_seconds: int

    def __post_init__(self) -> None:
        for name, low in {"n_trials": 1, "failure_grace": 1, "dead_after_seconds": 3}.items():
            check_whole(f"hydra.sweeper.{name}", getattr(self, name), low)


class Search:
    """What overrides, fixed ones and ranges, ask to be searched, checked; nothing is begun."""

    def __init__(self, loader: ConfigLoader, master: DictConfig, arguments: Sequence[str]) -> None:
        node = plain(master.hydra.sweeper)
        given = {name: node[name] for name in node if not name.startswith("_")}
        self.options = options = from_config(SearchOptions, "hydra.sweeper", given)
        self.space = Space(loader, arguments)
        self.cells = Cells(loader, master)
        self.config = config = self.cells.compose(self.space.fixed)
        self.objectives: list[str] = config["search"]["objectives"]
        check_objectives(self.objectives)
        if config["force"]:
            raise AsdError("force=true: a search takes finished runs as they are; remove folders")
        #: Said wherever a result is.
        self.warnings = check_comparable(self.objectives, list(self.space.axes))
        self.prunes = len(self.objectives) == 1 and self.objectives[0] in COLUMNS
        if not self.prunes and options.pruner != _NO_PRUNER:
            self.warnings.append(f"no trial is pruned: {self.objectives} is not known by epoch")
        experiment = Experiment.of(config, "")
        if not experiment.trains and set(COLUMNS) & set(self.objectives):
            raise AsdError(
                f"search.objectives={self.objectives}: model=none trains nothing, and has no "
                "validation loss; search.objectives=[proxy_auc] needs none (docs/search.md)"
            )
        self.runs = experiment.runs
        self._file = self.runs / "optuna.db" if options.storage is None else None
        self.url: str = options.storage or f"sqlite:///{self._file}"
        self.data_label = experiment.data_label
        self.title = str(config["sweep"]["name"] or "search")
        corpus = config["data"].get("name", experiment.corpus.name)
        name = options.study_name or f"{self.title}-{corpus}-{config['scale']['name']}"
        # Of all that can change a result or the choice: no two searches share a study.
        ranges = {option: str(axis) for option, axis in self.space.axes.items()}
        judge = [config["proxy"]] * ("proxy_auc" in self.objectives)
        asked = {**config, "asked": [ranges, self.objectives, *judge]}
        digest = identity(asked, "", experiment.versions)
        self.name = re.sub(r"[^\w.-]+", "-", f"{name}-{digest}")
        self.folder = self.runs / "search" / self.name

    def values_of(self, trial: FrozenTrial) -> str:
        """A complete trial's objectives: ``validation_loss 0.8312``."""
        pairs = zip(self.objectives, trial.values, strict=True)
        return ", ".join(f"{name} {value:.4g}" for name, value in pairs)

    @cached_property
    def storage(self) -> HeartbeatStorage:
        """Where the study is, connected as a worker."""
        return connect(self.url, self.options.dead_after_seconds)

    def load(self) -> Study | None:
        """The study, as it is; None if there is none."""
        if self._file is None or self._file.exists():
            storage = self.storage
            with reaching(self.url, *UNREADABLE), suppress(KeyError):
                study = optuna.load_study(study_name=self.name, storage=storage)
                _ = study.trials
                return study
        return None

    def begin(self) -> Study:
        """The study, made where it is not there yet, with a waiting trial for each to come."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AsdError(f"{self.folder}: {error.strerror}; set paths.runs") from error
        try:
            storage = self.storage
        except AsdError:  # another process may be making its tables at this moment
            time.sleep(1.0)
            storage = self.storage
        pruner = build(self.options.pruner if self.prunes else _NO_PRUNER, "hydra.sweeper.pruner")
        seeded_sampler(self.options.sampler, 0)
        ways: Any = ["maximize" if name in LARGE else "minimize" for name in self.objectives]
        study = optuna.create_study(
            storage=storage, study_name=self.name, load_if_exists=True, directions=ways,
            pruner=pruner,
        )  # fmt: skip
        study.set_metric_names(self.objectives)
        study.set_user_attr("selected_on", selected_on(self.objectives))
        study.set_user_attr("data", self.data_label)
        # Two that begin at once may add too many; those numbered beyond n_trials just wait.
        with reaching(self.url, *UNREADABLE):
            known = len(study.trials)
        for _ in range(known, self.options.n_trials):
            study.add_trial(create_trial(state=TrialState.WAITING))
        return study


def seeded_sampler(config: dict[str, Any], number: int) -> BaseSampler:
    """The sampler that proposes trial ``number``.

    Made anew for each trial, with a seed of its own: a search that is resumed, or has several
    workers, would otherwise draw the same numbers again.
    """
    config = dict(config)
    # A quasi-random sequence is one sequence; the storage knows how far it is.
    if config.get("seed") is not None and not config["_target_"].endswith("QMCSampler"):
        seeds = np.random.SeedSequence([config["seed"], number])
        config["seed"] = int(seeds.generate_state(1)[0])
    sampler: BaseSampler = build(config, "hydra.sweeper.sampler")
    return sampler
