"""``hydra/sweeper=optuna``."""

from __future__ import annotations

from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


class OptunaSweeper(Sweeper):
    """A search by Optuna (``asd.search.sweep``).

    Args:
        options: see ``asd.search.options.SearchOptions``.
    """

    config: DictConfig
    launcher: Launcher

    def __init__(self, **options: Any) -> None:
        self.options = options

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Hydra's."""
        self.config = config
        self.hydra_context = hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Hydra's: run the trials."""
        from asd.search.sweep import sweep_search

        assert self.hydra_context is not None
        options: Any = OmegaConf.to_container(OmegaConf.create(self.options), resolve=True)
        sweep_search(self.hydra_context, self.config, self.launcher, arguments, options)
