"""``hydra/sweeper=grid`` and ``hydra/sweeper=optuna``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class AsdSweeper(Sweeper):
    """What a grid and a search have in common; their options are read from the config."""

    def __init__(self, **options: Any) -> None:
        self.options = options

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Hydra's."""
        self.config: DictConfig = config
        self.context = hydra_context
        self.task = task_function

    def open_launcher(self) -> Any:
        """Ours, ready to start workers of this command; Hydra's for one run after another.

        Raises:
            AsdError: an option cannot be used, or it is another launcher.
        """
        from asd.composition import build, plain
        from asd.errors import AsdError

        node = self.config.hydra.launcher
        if node._target_.startswith("hydra._internal"):
            return Plugins.instance().instantiate_launcher(self.context, self.task, self.config)
        if not node._target_.startswith("asd.sweeps."):
            choices = "sequential, joblib, submitit_slurm or ray"
            raise AsdError(f"hydra/launcher: {node._target_} runs no sweep of ours; {choices} does")
        launcher: Any = build(plain(node), "hydra.launcher")
        program = self.task.__module__
        if program == "__main__" and (spec := sys.modules["__main__"].__spec__) is not None:
            program = spec.name
        ours = ("hydra/launcher=", "hydra.launcher.")
        arguments = [a for a in sys.argv[1:] if not a.lstrip("+~").startswith(ours)]
        command = [sys.executable, "-m", program, *arguments, "hydra/launcher=sequential"]
        launcher.prepare(command, Path(str(self.config.hydra.sweep.dir)))
        return launcher


class GridSweeper(AsdSweeper):
    """Every combination of the options' values (``asd.sweeps.grid_sweep``)."""

    def sweep(self, arguments: list[str]) -> None:
        """Hydra's: run them all."""
        from asd.sweeps.grid_sweep import sweep_grid
        from asd.sweeps.outcomes import without_traceback

        loader = self.context.config_loader
        params = [f"{name}={value}" for name, value in (self.options["params"] or {}).items()]
        with without_traceback():
            launcher = self.open_launcher()
            report: bool = self.options["report"]
            sweep_grid(loader, self.config, launcher, self.task, [*params, *arguments], report)

    @staticmethod
    def status(loader: ConfigLoader, master: DictConfig, watch: bool) -> None:
        """What ``python -m asd.sweeps status`` says of a sweep; with ``watch``, until its end."""
        from asd.sweeps.sweep_status import show_status

        show_status(loader, master, watch)


class OptunaSweeper(AsdSweeper):
    """A search by Optuna (``asd.search.search``), which checks the options itself."""

    def sweep(self, arguments: list[str]) -> None:
        """Hydra's: run the trials."""
        from asd.search.search import sweep_search
        from asd.sweeps.outcomes import without_traceback

        loader = self.context.config_loader
        with without_traceback():
            sweep_search(loader, self.config, self.open_launcher(), self.task, arguments)

    @staticmethod
    def status(loader: ConfigLoader, master: DictConfig, watch: bool) -> None:
        """What ``python -m asd.sweeps status`` says of a search; with ``watch``, until its end."""
        from asd.search.search import show_search

        show_search(loader, master, watch)
