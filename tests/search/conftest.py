"""A search whose trials cost nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, OmegaConf

from asd.search import plots
from asd.search.store import open_storage
from asd.sweeps import launching
from hydra_plugins.asd import sequential_launcher

Objective = Callable[[dict[str, Any]], Any]
SEARCH = [
    "-m", "hydra/sweeper=optuna", "hydra/sweeper/sampler=random", "+experiment=u", "tracking=off",
    "data.machines=[fan]", "trainer.learning_rate=tag(log, interval(1e-4, 1e-2))",
]  # fmt: skip


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, Any]]]:
    """``cheap(objective, draw=False)``: trials are calls of it with the config, which it lists."""

    def use(objective: Objective, draw: bool = False) -> list[dict[str, Any]]:
        seen: list[dict[str, Any]] = []
        base: list[DictConfig] = []

        def run(job: Any, context: Any, config: Any, task: Any) -> JobReturn:
            if not base:  # composing takes longer than all else
                composed = context.config_loader.load_sweep_config(config, list(job.overrides))
                base.append(OmegaConf.masked_copy(composed, [k for k in composed if k != "hydra"]))
            for override in OverridesParser.create().parse_overrides(list(job.overrides)):
                if "." in override.key_or_group:
                    OmegaConf.update(base[0], override.key_or_group, override.value(), merge=False)
            values: Any = OmegaConf.to_container(base[0], resolve=True)
            seen.append(values)
            result = JobReturn(overrides=list(job.overrides), status=JobStatus.COMPLETED)
            try:
                result.return_value = objective(values)
            except Exception as error:
                result.status = JobStatus.FAILED
                result.return_value = error
            return result

        if not draw:  # half of a small search's time
            monkeypatch.setattr(plots, "draw", lambda study, folder: ([], []))
        # Hydra may load a plugin's file anew, or not.
        monkeypatch.setattr(launching, "run_here", run)
        monkeypatch.setattr(sequential_launcher, "run_here", run)
        return seen

    return use


def study_in(folder: Path, url: str | None = None) -> optuna.Study:
    """The only study of a storage."""
    storage = open_storage(url or f"sqlite:///{folder / 'runs' / 'optuna.db'}")
    (summary,) = optuna.get_all_study_summaries(storage)
    return optuna.load_study(study_name=summary.study_name, storage=storage)


def not_a_process() -> dict[str, Any]:
    """A claim by a worker that is dead."""
    return {"host": os.uname().nodename, "pid": 2**22 + 1, "began": 0.0}
