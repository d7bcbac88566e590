"""What a search asks, and the study that keeps its trials: the same search is the same study."""

from __future__ import annotations

import hashlib
import json
import re
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import TrialState, create_trial

from asd.composition import build
from asd.errors import AsdError
from asd.experiment.experiment import Experiment
from asd.experiment.identity import flat
from asd.search.objectives import OBJECTIVES, check_comparable, check_objectives, selected_on
from asd.search.search_options import SearchOptions
from asd.search.space import Space
from asd.search.storage import (
    HeartbeatStorage,
    StorageError,
    connect,
    make_storage,
    reaching,
    storage_url,
)
from asd.sweeps.cells import Cells

_NO_PRUNER = {"_target_": "optuna.pruners.NopPruner"}
# The study's user attribute that says what it is for.
_QUESTION = "search"


class Search:
    """What is searched, checked; nothing is begun.

    Args:
        loader: Hydra's.
        master: the config that no trial has touched.
        arguments: overrides, fixed ones and ranges.

    Raises:
        AsdError: something of it cannot be used.
    """

    def __init__(self, loader: ConfigLoader, master: DictConfig, arguments: Sequence[str]) -> None:
        node: Any = OmegaConf.to_container(master.hydra.sweeper, resolve=True)
        target = "asd.search.search_options.SearchOptions"
        options: SearchOptions = build({**node, "_target_": target}, "hydra.sweeper")
        self.options = options
        params = [f"{name}={value}" for name, value in (options.params or {}).items()]
        self.space = Space.of(loader, [*params, *arguments], options.custom_search_space)
        self.cells = Cells(loader, master)
        self.config = config = self.cells.compose(self.space.fixed)
        self.objectives: list[str] = config["search"]["objectives"]
        check_objectives(self.objectives)
        self.warnings = check_comparable(self.objectives, list(self.space.axes))
        self.url = storage_url(options.storage, config["paths"]["runs"])
        # Refused now rather than at the first trial.
        build(options.pruner, "hydra.sweeper.pruner")
        seeded_sampler(options.sampler, 0)
        experiment = Experiment.of(config, {}, "")
        self.data_label = experiment.data_label
        self.title = str(config["sweep"]["name"] or "search")
        corpus = config["data"].get("name", experiment.corpus.name)
        name = re.sub(r"[^\w.-]+", "-", f"{self.title}-{corpus}-{config['scale']['name']}")
        text = json.dumps(self._question(), sort_keys=True)
        digest = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
        self.name = options.study_name or f"{name}-{digest}"
        self.runs = Path(config["paths"]["runs"]).absolute()
        self.folder = self.runs / "search" / self.name

    @property
    def prunes(self) -> bool:
        """Whether trials can be judged epoch by epoch."""
        return len(self.objectives) == 1 and OBJECTIVES[self.objectives[0]].column is not None

    @cached_property
    def storage(self) -> HeartbeatStorage:
        """Where the study is, connected as a worker."""
        return connect(self.url, self.options.heartbeat_seconds, self.options.dead_after_seconds)

    def load(self) -> Study | None:
        """The study, as it is; None if there is none.

        Raises:
            AsdError: the storage cannot be used.
        """
        with reaching(self.url), suppress(KeyError):
            return optuna.load_study(study_name=self.name, storage=self.storage)
        return None

    def begin(self) -> Study:
        """The study, made where it is not there yet, with a waiting trial for each to come.

        Raises:
            AsdError: a study of this name is there and for something else.
        """
        try:
            make_storage(self.url)
        except StorageError:  # another process may be making it at this moment
            time.sleep(1.0)
            make_storage(self.url)
        ways: Any = [OBJECTIVES[name].direction for name in self.objectives]
        with reaching(self.url):
            study = optuna.create_study(
                storage=self.storage, study_name=self.name, load_if_exists=True, directions=ways
            )
            self._check_question(study, ways)
            study.set_user_attr("pruner", self.options.pruner if self.prunes else _NO_PRUNER)
            # Failures of earlier starts are not held against this one.
            study.set_user_attr("before", counts(study))
            # Two that begin at once may add too many; those numbered beyond n_trials just wait.
            for _ in range(len(study.trials), self.options.n_trials):
                study.add_trial(create_trial(state=TrialState.WAITING))
        return study

    def too_many_failed(self, study: Study) -> bool:
        """Whether ``max_failure_rate`` ends the search."""
        now, before = counts(study), study.user_attrs["before"]
        ended, failed = (int(now[state] - before[state]) for state in ("ended", "fail"))
        most = self.options.max_failure_rate * ended
        return ended >= self.options.failure_grace and failed > most

    def _question(self) -> dict[str, Any]:
        """What the study is for, flat and plain: all that can change a result or the choice."""
        excluded = (*self.config["identity"]["exclude"], *(n.lstrip("+") for n in self.space.axes))
        fixed = {
            option: value
            for option, value in flat(self.config).items()
            if not any(option == name or option.startswith(f"{name}.") for name in excluded)
        }
        ranges = {f"space of {name}": str(range) for name, range in self.space.axes.items()}
        return {
            **json.loads(json.dumps(fixed, default=str)),
            **ranges,
            "search.objectives": self.objectives,
            "hydra.sweeper.custom_search_space": self.options.custom_search_space,
        }

    def _check_question(self, study: Study, ways: list[str]) -> None:
        """Note in a new study what it is for; refuse one that is for something else."""
        ours, known = self._question(), study.user_attrs.get(_QUESTION, {})
        differ = sorted(k for k in {*known, *ours} if known.get(k) != ours.get(k))
        foreign = study.trials or [d.name.lower() for d in study.directions] != ways
        if differ and (known or foreign):
            before, now = (values.get(differ[0], "not there") for values in (known, ours))
            raise AsdError(
                f"hydra.sweeper.study_name={self.name}: made for another search: {differ[0]} was "
                f"{before}, now {now}; choose another name, or leave the option out"
            )
        study.set_user_attr(_QUESTION, ours)
        study.set_user_attr("selected_on", selected_on(self.objectives))
        study.set_user_attr("data", self.data_label)
        study.set_metric_names(self.objectives)


def counts(study: Study) -> dict[str, int]:
    """Trials by state, and as ``ended`` those in a state that no trial leaves."""
    states = [trial.state for trial in study.get_trials(deepcopy=False)]
    by_state = {state.name.lower(): states.count(state) for state in TrialState}
    return {**by_state, "ended": sum(state.is_finished() for state in states)}


def seeded_sampler(config: dict[str, Any], number: int) -> BaseSampler:
    """The sampler that proposes trial ``number``.

    Made anew for each trial, with a seed of its own: a search that is resumed, or has several
    workers, would otherwise draw the same numbers again.

    Raises:
        AsdError: Optuna refuses an option of it.
    """
    config = dict(config)
    # A quasi-random sequence is one sequence; the storage knows how far it is.
    if config.get("seed") is not None and not config["_target_"].endswith("QMCSampler"):
        seeds = np.random.SeedSequence([config["seed"], number])
        config["seed"] = int(seeds.generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a sampler is experimental
        sampler: BaseSampler = build(config, "hydra.sweeper.sampler")
    return sampler
