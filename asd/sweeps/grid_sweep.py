"""A grid: every combination of options, what is finished skipped, the rest run or resumed."""

from __future__ import annotations

import dataclasses
import shutil
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from hydra.plugins.launcher import Launcher

from asd.errors import AsdError
from asd.signals import stopped_by
from asd.sweeps.arguments import NAMED
from asd.sweeps.attempts import (
    WorkerRole,
    count_deaths,
    has_more_to_do,
    is_through,
    sign,
    was_begun,
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
    from hydra.types import HydraContext, TaskFunction
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
        self.outcomes: list[Outcome] = []

    def run(self, launcher: Launcher) -> list[Cell]:
        """Run what is not finished, whatever fails of it.

        Returns:
            all cells; ``outcomes`` says what became of those that were run or refused.

        Raises:
            KeyboardInterrupt: stopped by the user or the system.
        """
        cells = self.cells.of(self.overrides)
        finished = [c for c in cells if c.state() == DONE and not has_more_to_do(c)]
        refused = [Outcome(c, None, AsdError(c.error)) for c in cells if c.error is not None]
        todo = [c for c in cells if c not in finished and c.error is None]
        began = time.monotonic()
        self.outcomes = refused
        with Display(self.title, len(cells) - len(refused), len(finished)) as display:
            parts = [f"{self.title}: {len(cells)} runs"]
            parts += [f"{len(finished)} finished before"] if finished else []
            parts += [f"{len(refused)} refused"] if refused else []
            display.say(", ".join(parts))
            for outcome in refused:
                display.say(f"refused: {outcome.cell.label}: {outcome.error}")
            try:
                self._train(launcher, todo, display)
            finally:
                failed = sum(outcome.error is not None for outcome in self.outcomes)
                fine = len(finished) + len(self.outcomes) - failed
                text = f"{self.title}: {fine} of {len(cells)} runs finished"
                text += f", {failed} failed" if failed else ""
                display.say(f"{text} in {duration(time.monotonic() - began)}")
                for line in failures(self.outcomes):
                    display.say(line)
                if fine < len(cells):
                    display.say(f"what is missing: {sweep_command()}")
        return cells

    def _train(self, launcher: Launcher, todo: list[Cell], display: Display) -> None:
        from hydra._internal.core_plugins.basic_launcher import BasicLauncher

        if isinstance(launcher, WorkerLauncher):
            self._by_workers(launcher, todo, display)
        elif isinstance(launcher, BasicLauncher):
            self._one_by_one(todo, display)
        else:
            raise AsdError(
                f"hydra/launcher: {type(launcher).__name__} runs no grid; choose sequential, "
                "joblib, submitit_slurm or ray"
            )

    def _one_by_one(self, todo: list[Cell], display: Display) -> None:
        """In this process. What others train is waited for when nothing else is left to do."""
        busy: list[Cell] = []
        for cell in todo:
            outcome = self._shown(cell, display)
            if outcome.busy:
                busy.append(cell)
                display.total += 1
            else:
                self.outcomes.append(outcome)
        for cell in busy:
            overrides = (*cell.overrides, "if_running=wait")
            outcome = self._shown(dataclasses.replace(cell, overrides=overrides), display)
            self.outcomes.append(outcome)

    def _shown(self, cell: Cell, display: Display) -> Outcome:
        display.started(cell)
        outcome = run_cell(cell, self.loader, self.master, self.task)
        error = None if outcome.busy or outcome.pruned else outcome.error
        display.ended(cell, error, summary(outcome))
        return outcome

    def _by_workers(self, launcher: WorkerLauncher, todo: list[Cell], display: Display) -> None:
        """By workers, until all is done or they can do no more. Another sweep's are waited for."""
        for cell in todo:
            count_deaths(cell, None)
        observed = Observation(
            todo, display, lambda cell, state: is_through(cell, state, launcher.sweep)
        )
        observed.outcomes = self.outcomes

        def watch() -> bool:
            left = observed.look()
            launcher.is_over = not observed.open
            return left

        while before := len(observed.open):
            launcher.work(watch, before)
            if watch() and len(observed.open) == before:
                break
            while observed.open and not watch():
                time.sleep(1.0)
        error = RunFailedError(f"not finished; the workers' logs: {short(launcher.folder)}")
        self.outcomes += [Outcome(cell, None, error) for cell in observed.open.values()]
        if not observed.open:
            shutil.rmtree(launcher.folder, ignore_errors=True)

    def work(self, role: WorkerRole) -> None:
        """Be a worker: go through the cells until none is left that this process could train."""
        cells: Iterable[Cell] = self.cells.beginning_with(role.first, self.overrides)
        trained = True
        while trained:
            known, trained = [], False
            for cell in cells:
                known.append(cell)
                trained |= self._tried(cell, role)
            cells = known

    def _tried(self, cell: Cell, role: WorkerRole) -> bool:
        """Run a cell, if nobody else has it and the sweep is not through with it."""
        state = cell.state()
        if cell.folder is None or state == IN_PROGRESS or is_through(cell, state, role.sweep):
            return False
        if count_deaths(cell, role.sweep) >= role.attempts:
            times = "" if role.attempts == 1 else f" {role.attempts} times"
            note_failure(cell, RunFailedError(f"its process died{times} (out of memory?)"))
            sign(cell, role.sweep)
            return False
        if was_begun(cell, role.sweep):
            cell = dataclasses.replace(cell, overrides=(*cell.overrides, "force=false"))
        try:
            outcome = run_cell(cell, self.loader, self.master, self.task)
        finally:
            sign(cell, role.sweep)
        print(f"{cell.label}: {summary(outcome)}", flush=True)
        return not outcome.busy


def sweep_grid(
    context: HydraContext,
    master: DictConfig,
    launcher: Launcher,
    task: TaskFunction,
    arguments: list[str],
    report: bool,
) -> None:
    """What ``GridSweeper.sweep`` does.

    Raises:
        SystemExit: a run failed (1), or was refused (2).
    """
    loader = context.config_loader
    with without_traceback(), stopped_by(signal.SIGTERM):
        grid = GridSweep(loader, master, task, combinations(loader, arguments))
        if is_worker():
            grid.work(WorkerRole.of_this_process())
            return
        cells = grid.run(launcher)
        if report and master.sweep.name:
            from asd.sweeps.sweep_tables import show_tables

            show_tables(grid.title, cells)
    if code := exit_code(grid.outcomes):
        sys.exit(code)
