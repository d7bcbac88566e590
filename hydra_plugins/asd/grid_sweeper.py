"""``hydra/sweeper=grid``."""

from __future__ import annotations

from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class GridSweeper(Sweeper):
    """Every combination of the options' values (``asd.sweeps.grid_sweep``).

    Args:
        params: options and their values, as on the command line; those there come after.
        report: print the sweep's tables at its end.
    """

    config: DictConfig
    launcher: Launcher
    task_function: TaskFunction

    def __init__(self, params: dict[str, Any] | None = None, report: bool = True) -> None:
        self.params = params or {}
        self.report = report

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Hydra's."""
        self.config = config
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Hydra's: run them all."""
        from asd.sweeps.grid_sweep import sweep_grid

        assert self.hydra_context is not None
        given = [f"{name}={value}" for name, value in self.params.items()]
        sweep_grid(
            self.hydra_context,
            self.config,
            self.launcher,
            self.task_function,
            [*given, *arguments],
            self.report,
        )

    @staticmethod
    def status(loader: ConfigLoader, master: DictConfig, watch: bool) -> None:
        """What ``python -m asd.sweeps status`` says of a sweep; with ``watch``, until its end."""
        from asd.sweeps.sweep_status import show_status

        show_status(loader, master, watch)
