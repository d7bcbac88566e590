"""A search whose trials cost nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from asd.search import search
from asd.search.storage import connect
from asd.sweeps.cells import Cell, Cells

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

        def run(cells: Cells, cell: Cell, task: Any) -> Any:
            if not base:  # composing takes longer than all else
                composed = cells.loader.load_sweep_config(cells.master, list(cell.overrides))
                base.append(OmegaConf.masked_copy(composed, [k for k in composed if k != "hydra"]))
            for override in OverridesParser.create().parse_overrides(list(cell.overrides)):
                if "." in override.key_or_group:
                    OmegaConf.update(base[0], override.key_or_group, override.value(), merge=False)
            values: Any = OmegaConf.to_container(base[0], resolve=True)
            values["trial"] = cell.number
            seen.append(values)
            return objective(values)

        if not draw:  # half of a small search's time
            monkeypatch.setattr(search, "draw", lambda search, study: [])
        monkeypatch.setattr(Cells, "run", run)
        return seen

    return use


def study_in(folder: Path, url: str | None = None) -> optuna.Study:
    """The only study of a storage."""
    storage = connect(url or f"sqlite:///{folder / 'runs' / 'optuna.db'}")
    (summary,) = optuna.get_all_study_summaries(storage)
    return optuna.load_study(study_name=summary.study_name, storage=storage)
