"""A grid: every combination of options, what is finished skipped, the rest run or resumed."""

from __future__ import annotations

import dataclasses
import shutil
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from asd.errors import AsdError, RunIsBusyError
from asd.signals import stopped_by
from asd.sweeps.arguments import NAMED
from asd.sweeps.attempts import (
    WorkerRole,
    count_deaths,
    has_more_to_do,
    is_through,
    sign,
    sweep_start,
)
from asd.sweeps.cells import DONE, IN_PROGRESS, Cell, Cells
from asd.sweeps.display import Display, duration
from asd.sweeps.observation import Observation
from asd.sweeps.outcomes import (
    Outcome,
    RunFailedError,
    exit_code,
    failures,
    note_failure,
    run_cell,
    short,
    summary,
    sweep_command,
    without_traceback,
)
from asd.sweeps.workers import WorkerLauncher, is_worker

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader
    from hydra.types import TaskFunction
    from omegaconf import DictConfig


def combinations(loader: ConfigLoader, arguments: Sequence[str]) -> list[list[str]]:
    """All combinations of the values that overrides list, as Hydra's own sweeper makes them.

    Raises:
        AsdError: an option has an interval, which only a search can choose from.
    """
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


class GridSweep:
    """All cells of a grid, in whichever process they are trained.

    Args:
        loader: Hydra's.
        master: the sweep's own config.
        task: what Hydra calls for a run.
        overrides: of each cell.
    """

    def __init__(
        self,
        loader: ConfigLoader,
        master: DictConfig,
        task: TaskFunction,
        overrides: list[list[str]],
    ) -> None:
        self.loader = loader
        self.master = master
        self.task = task
        self.overrides = overrides
        self.cells = Cells(loader, master)
        self.title = str(master.sweep.name or "sweep")

    def run(self, launcher: object) -> tuple[list[Cell], list[Outcome]]:
        """Run what is not finished, whatever fails of it.

        Returns:
            all cells, and what became of those that were run or refused.

        Raises:
            KeyboardInterrupt: stopped by the user or the system.
        """
        cells = list(self.cells.of(self.overrides))
        finished = [c for c in cells if c.state() == DONE and not has_more_to_do(c)]
        refused = [Outcome(c, None, AsdError(c.error)) for c in cells if c.error is not None]
        todo = [c for c in cells if c not in finished and c.error is None]
        sweep = launcher.sweep if isinstance(launcher, WorkerLauncher) else sweep_start()
        began = time.monotonic()
        with Display(self.title, len(cells) - len(refused), len(finished)) as display:
            parts = [f"{self.title}: {len(cells)} runs"]
            parts += [f"{len(finished)} finished before"] if finished else []
            parts += [f"{len(refused)} refused"] if refused else []
            display.say(", ".join(parts))
            for outcome in refused:
                display.say(f"refused: {outcome.cell.label}: {outcome.error}")
            observed = Observation(todo, display, partial(is_through, sweep=sweep))
            observed.outcomes += refused
            try:
                self._train(launcher, sweep, observed)
            finally:
                outcomes = observed.outcomes
                failed = sum(outcome.error is not None for outcome in outcomes)
                fine = len(finished) + len(outcomes) - failed
                text = f"{self.title}: {fine} of {len(cells)} runs finished"
                text += f", {failed} failed" if failed else ""
                display.say(f"{text} in {duration(time.monotonic() - began)}")
                for line in failures(outcomes):
                    display.say(line)
                if fine < len(cells):
                    display.say(f"what is missing: {sweep_command()}")
        return cells, outcomes

    def _train(self, launcher: object, sweep: str, observed: Observation) -> None:
        """Until all is done or no more can be. What another sweep trains is waited for."""
        for cell in observed.open.values():
            count_deaths(cell, None)

        def watch() -> bool:
            left = observed.look()
            if isinstance(launcher, WorkerLauncher):
                launcher.is_over = not observed.open
            return left

        vain = 0
        while observed.open and vain < 2:
            before = len(observed.open)
            if isinstance(launcher, WorkerLauncher):
                launcher.work(watch, before)
            else:
                role = WorkerRole(sweep, sys.maxsize, 0)
                self.work(role, list(observed.open.values()), observed)
            vain = vain + 1 if watch() and len(observed.open) == before else 0
            while observed.open and not watch():
                time.sleep(1.0)
        where = ""
        if isinstance(launcher, WorkerLauncher):
            where = f"; the workers' logs: {short(launcher.folder)}"
            if not observed.open:
                shutil.rmtree(launcher.folder, ignore_errors=True)
        error = RunFailedError(f"not finished{where}")
        observed.outcomes += [Outcome(cell, None, error) for cell in observed.open.values()]

    def work(
        self, role: WorkerRole, cells: Iterable[Cell], observed: Observation | None = None
    ) -> None:
        """Train cells in this process, until none is left that it could.

        Args:
            role: of this process.
            cells: to go through.
            observed: is told of each; None in a worker, which prints it.
        """
        trained: set[int] = set()
        before = -1
        while len(trained) > before:
            before, known = len(trained), []
            for cell in cells:
                known.append(cell)
                if cell.number not in trained and self._tried(cell, role, observed):
                    trained.add(cell.number)
            cells = known

    def _tried(self, cell: Cell, role: WorkerRole, observed: Observation | None) -> bool:
        """Run a cell, if nobody else has it and the sweep is not through with it."""
        state = cell.state()
        if cell.folder is None or state == IN_PROGRESS or is_through(cell, state, role.sweep):
            return False
        if count_deaths(cell, role.sweep) >= role.attempts:
            times = "" if role.attempts == 1 else f" {role.attempts} times"
            note_failure(cell, RunFailedError(f"its process died{times} (out of memory?)"))
            sign(cell, role.sweep)
            return False
        if cell.record().get("sweep") == role.sweep:  # it has begun anew, if it was to
            cell = dataclasses.replace(cell, overrides=(*cell.overrides, "force=false"))
        if observed is not None:
            observed.display.started(cell)
        try:
            outcome = run_cell(cell, self.loader, self.master, self.task)
        finally:
            sign(cell, role.sweep)
        if observed is not None:
            observed.look()
        else:
            print(f"{cell.label}: {summary(outcome)}", flush=True)
        return not isinstance(outcome.error, RunIsBusyError)


def sweep_grid(
    loader: ConfigLoader,
    master: DictConfig,
    launcher: object,
    task: TaskFunction,
    arguments: list[str],
    report: bool,
) -> None:
    """What ``GridSweeper.sweep`` does.

    Raises:
        SystemExit: a run failed (1), or was refused (2).
    """
    with without_traceback(), stopped_by(signal.SIGTERM):
        grid = GridSweep(loader, master, task, combinations(loader, arguments))
        if is_worker():
            role = WorkerRole.of_this_process()
            grid.work(role, grid.cells.of(grid.overrides, role.first))
            return
        cells, outcomes = grid.run(launcher)
        if report and master.sweep.name:
            from asd.sweeps.sweep_tables import show_tables

            show_tables(grid.title, cells)
    if code := exit_code(outcomes):
        sys.exit(code)
