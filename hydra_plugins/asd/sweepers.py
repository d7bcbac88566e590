"""``hydra/sweeper=grid`` and ``hydra/sweeper=optuna``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from hydra.utils import get_method
from omegaconf import DictConfig


class AsdSweeper(Sweeper):
    """What a grid and a search have in common; their options are read from the config."""

    #: Functions that run a sweep, and that ``python -m asd.sweeps status`` calls.
    run: str
    status: str

    def __init__(self, **options: Any) -> None:
        pass

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Hydra's."""
        self.config: DictConfig = config
        self.context = hydra_context
        self.task = task_function

    def open_launcher(self) -> Any:
        """The workers' launcher, ready to start this command; None: one run after another, here."""
        from asd.composition import build, plain
        from asd.errors import AsdError

        node = self.config.hydra.launcher
        if node._target_.startswith("hydra._internal"):
            return None
        if not node._target_.startswith("asd.sweeps."):
            raise AsdError("hydra/launcher: choose sequential, joblib or submitit_slurm")
        launcher: Any = build(plain(node), "hydra.launcher")
        ours = ("hydra/launcher=", "hydra.launcher.")
        arguments = [a for a in sys.argv[1:] if not a.lstrip("+~").startswith(ours)]
        command = [sys.executable, "-m", "asd.train", *arguments, "hydra/launcher=sequential"]
        launcher.prepare(command, Path(str(self.config.hydra.sweep.dir)))
        return launcher

    def sweep(self, arguments: list[str]) -> None:
        """Hydra's: run them all."""
        from asd.signals import ENDINGS, stopped_by

        with stopped_by(*ENDINGS):
            run, loader = get_method(self.run), self.context.config_loader
            run(loader, self.config, self.open_launcher(), self.task, arguments)


class GridSweeper(AsdSweeper):
    """Every combination of the options' values."""

    run = "asd.sweeps.grid_sweep.sweep_grid"
    status = "asd.sweeps.grid_sweep.show_grid"


class OptunaSweeper(AsdSweeper):
    """A search by Optuna."""

    run = "asd.search.search.sweep_search"
    status = "asd.search.search.show_search"
