"""``hydra/sweeper=optuna``."""

from __future__ import annotations

from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class OptunaSweeper(Sweeper):
    """A search by Optuna (``asd.search.search``), which checks the options itself."""

    def __init__(self, **options: Any) -> None:
        pass

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Hydra's."""
        self.config: DictConfig = config
        self.hydra_context = hydra_context
        self.task = task_function
        self.launcher: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Hydra's: run the trials."""
        from asd.search.search import sweep_search

        assert self.hydra_context is not None
        loader = self.hydra_context.config_loader
        sweep_search(loader, self.config, self.launcher, self.task, arguments)

    @staticmethod
    def status(loader: ConfigLoader, master: DictConfig, watch: bool) -> None:
        """What ``python -m asd.sweeps status`` says of a search; with ``watch``, until its end."""
        from asd.search.search import show_search

        show_search(loader, master, watch)
