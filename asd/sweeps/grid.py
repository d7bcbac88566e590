"""A grid: every combination of options, what is finished skipped, the rest run or resumed."""

from __future__ import annotations

import dataclasses
import signal
import sys
import time
from collections.abc import Sequence

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig

from asd.errors import AsdError
from asd.signals import stopped_by
from asd.sweeps.arguments import NAMED
from asd.sweeps.cells import DONE, REFUSED, Cell, Cells
from asd.sweeps.conduct import (
    Ended,
    conduct,
    exit_code,
    failures,
    sweep_command,
    without_traceback,
)
from asd.sweeps.display import Display, duration


def combinations(loader: ConfigLoader, arguments: Sequence[str]) -> list[list[str]]:
    """All combinations of the values that overrides list, as Hydra's own sweeper makes them.

    Raises:
        AsdError: an option has an interval, which only a search can choose from.
    """
    parser = OverridesParser.create(config_loader=loader)
    try:
        parsed = parser.parse_overrides(list(arguments))
        return BasicSweeper.split_arguments(parsed, None)[0]
    except HydraException as error:
        raise AsdError(
            f"{str(error).splitlines()[0]}; lists and ranges make a grid, intervals need "
            "hydra/sweeper=optuna"
        ) from error


def run_grid(
    cells: Cells, launcher: Launcher, overrides: list[list[str]], title: str
) -> tuple[list[Cell], list[Ended]]:
    """Run what is not finished, whatever fails of it.

    Args:
        cells: composes them.
        launcher: starts the runs.
        overrides: of each cell.
        title: of the sweep.

    Returns:
        all cells, and what became of those that were run or refused.

    Raises:
        KeyboardInterrupt: stopped by the user or the system.
    """
    everything = cells.of(overrides)
    finished = [c for c in everything if c.state() == DONE and not _anew(c)]
    refused = [c for c in everything if c.state() == REFUSED]
    todo = [c for c in everything if c not in finished and c not in refused]
    ended = [Ended(cell, None, AsdError(cell.error)) for cell in refused]
    began = time.monotonic()
    with Display(title, len(everything) - len(refused), len(finished)) as display:
        parts = [f"{title}: {len(everything)} runs"]
        if finished:
            parts.append(f"{len(finished)} finished before")
        if refused:
            parts.append(f"{len(refused)} refused")
        display.say(", ".join(parts))
        for one in ended:
            display.say(f"refused: {one.cell.label}: {one.error}")
        now: list[Ended] = []
        try:
            busy: list[Ended] = []
            for one in conduct(launcher, todo, display):
                (busy if one.busy else now).append(one)
            # What other processes train is waited for when nothing else is left to do.
            again = [_waiting(one.cell) for one in busy]
            display.total += len(again)
            now += conduct(launcher, again, display)
        finally:
            ended += now
            failed = [one for one in ended if one.error is not None]
            fine = len(finished) + len(now) - sum(one.error is not None for one in now)
            said = f"{title}: {fine} of {len(everything)} runs finished"
            if failed:
                said += f", {len(failed)} failed"
            display.say(f"{said} in {duration(time.monotonic() - began)}")
            for line in failures(ended):
                display.say(line)
            if fine < len(everything):
                display.say(f"what is missing: {sweep_command()}")
    return everything, ended


def _anew(cell: Cell) -> bool:
    """Whether a finished run has something left to do: ``force``, or a copy for its tracker."""
    forced = any(o.lstrip("+") == "force=true" for o in cell.overrides)
    record = {} if cell.folder is None else cell.folder.record()
    return forced or ("mlflow" in record and not record.get("published", True))


def _waiting(cell: Cell) -> Cell:
    return dataclasses.replace(cell, overrides=(*cell.overrides, "if_running=wait"))


def sweep_grid(
    context: HydraContext,
    master: DictConfig,
    launcher: Launcher,
    arguments: list[str],
    report: bool,
) -> None:
    """What ``GridSweeper.sweep`` does.

    Raises:
        SystemExit: a run failed (1), or was refused (2).
    """
    title = str(master.sweep.name or "sweep")
    overrides = combinations(
        context.config_loader, [a for a in arguments if not a.startswith(NAMED)]
    )
    with without_traceback(), stopped_by(signal.SIGTERM):
        cells, ended = run_grid(Cells(context.config_loader, master), launcher, overrides, title)
        if report and master.sweep.name:
            from asd.sweeps.tables import show_tables

            show_tables(title, cells)
    if code := exit_code(ended):
        sys.exit(code)
