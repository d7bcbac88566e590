"""A grid: every combination of options, what is finished skipped, the rest run or resumed."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from asd.errors import AsdError
from asd.sweeps.arguments import NAMED
from asd.sweeps.cells import DONE, Cell, Cells, sweep_start
from asd.sweeps.display import PERIOD, Display, displayed
from asd.sweeps.sweep_status import show_cells
from asd.sweeps.workers import WorkerLauncher, is_worker, work
from asd.tracking.sync import list_runs

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader
    from hydra.types import TaskFunction
    from omegaconf import DictConfig


def combinations(loader: ConfigLoader, arguments: Sequence[str]) -> list[list[str]]:
    """All combinations of the values that overrides list, as Hydra's own sweeper makes them."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser = OverridesParser.create(config_loader=loader)
    options = [a for a in arguments if not a.startswith(NAMED)]
    try:
        return BasicSweeper.split_arguments(parser.parse_overrides(options), None)[0]
    except HydraException as error:
        raise AsdError(
            f"{str(error).splitlines()[0]}; lists and ranges make a grid, intervals need "
            "hydra/sweeper=optuna"
        ) from error


def sweep_grid(
    loader: ConfigLoader,
    master: DictConfig,
    launcher: WorkerLauncher | None,
    task: TaskFunction,
    arguments: list[str],
) -> None:
    """Run what is not finished, whatever fails of it; a worker only its part.

    Without a launcher of workers one run after another is trained here, by Hydra's ``task``. The
    process ends with status 1 where a run failed or was refused.
    """
    overrides = combinations(loader, arguments)
    composed = Cells(loader, master)
    run = partial(composed.run, task=task)
    if is_worker():
        first = int(os.environ["ASD_WORKER_NUMBER"])
        _work(os.environ["ASD_WORKER"], composed.of(overrides, first), run)
        return
    cells = list(composed.of(overrides))
    for cell in cells:
        cell.count_deaths(None)
    finished = [cell for cell in cells if cell.state() == DONE]
    sweep, title = launcher.sweep if launcher else sweep_start(), master.sweep.name or "sweep"
    with displayed(title, lambda: cells, sweep) as display:
        _train(display, launcher, lambda: _work(sweep, cells, run))
    list_runs([(c.experiment, c.folder) for c in finished if c.experiment and c.folder])
    if master.hydra.sweeper.report and master.sweep.name:
        _show_tables(title, cells)
    if any(cell.state() != DONE for cell in cells):
        sys.exit(1)


def _train(display: Display, launcher: WorkerLauncher | None, here: Callable[[], None]) -> None:
    """Until all is done or no more can be. What another sweep trains is waited for."""
    vain = 0
    while display.open and vain < 2:
        before = len(display.open)
        work(display, launcher, here)
        vain = vain + 1 if display.left and len(display.open) == before else 0
        while display.open and not display.left:
            time.sleep(PERIOD)
            display.look()


def _work(sweep: str, cells: Iterable[Cell], run: Callable[[Cell], Any]) -> None:
    """Train in this process what is free of these cells, one after another."""
    for cell in cells:
        if not cell.is_free(sweep):
            continue
        if cell.record().get("sweep") == sweep:  # it has begun anew, if it was to
            cell = replace(cell, overrides=(*cell.overrides, "force=false"))
        try:
            with suppress(Exception):  # whatever it is, it stops no other run; its folder says it
                run(cell)
        finally:
            cell.sign(sweep)
        if is_worker():
            print(f"{cell.label}: {cell.summary()}", flush=True)


def show_grid(loader: ConfigLoader, master: DictConfig) -> bool:
    """Print what has become of a grid's runs; see ``show_cells``."""
    overrides = combinations(loader, [str(o) for o in master.hydra.overrides.task])
    cells = Cells(loader, master, make=False).of(overrides)
    return show_cells(master.sweep.name or "sweep", list(cells))


def _show_tables(name: str, cells: list[Cell]) -> None:
    """Print AUC and pAUC of the sweep's finished runs, and how to see more."""
    from asd.documents import terminal
    from asd.reporting.bootstrap import Resampling
    from asd.reporting.content import table_blocks
    from asd.reporting.declaration import declaration
    from asd.reporting.runs import collect
    from asd.reporting.sections import Section, corpora

    folders = {cell.folder.path for cell in cells if cell.folder and cell.folder.scores.exists()}
    if not (runs := collect(folders).runs):
        return
    how = declaration(name), Resampling()
    for label, group in corpora(runs).items():
        terminal.show(table_blocks(Section(label, group, *how)), terminal.open_console())
    print(f"comparisons, pictures, files: python -m asd.report sweep={name}")
