"""A grid: every combination of options, what is finished skipped, the rest run or resumed."""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from asd.errors import AsdError, RunIsBusyError
from asd.signals import ENDINGS, stopped_by
from asd.sweeps.arguments import NAMED
from asd.sweeps.cells import ATTEMPTS, DONE, IN_PROGRESS, Cell, Cells, sweep_start
from asd.sweeps.display import Display, Observation, duration
from asd.sweeps.outcomes import (
    Outcome,
    RunFailedError,
    exit_code,
    failure_of,
    failures,
    note_failure,
    run_cell,
    short,
    summary,
    sweep_command,
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


def sweep_grid(
    loader: ConfigLoader,
    master: DictConfig,
    launcher: object,
    task: TaskFunction,
    arguments: list[str],
) -> None:
    """Run what is not finished, whatever fails of it; a worker only its part.

    Args:
        loader: Hydra's.
        master: the sweep's own config.
        launcher: a ``WorkerLauncher``; anything else: one run after another in this process.
        task: what Hydra calls for a run.
        arguments: overrides, with lists of values.

    Raises:
        SystemExit: a run failed (1), or was refused (2).
        KeyboardInterrupt: stopped by the user or the system.
    """
    options = master.hydra.sweeper
    params = [f"{name}={value}" for name, value in (options.params or {}).items()]
    overrides = combinations(loader, [*params, *arguments])
    composed = Cells(loader, master)
    run = partial(run_cell, loader=loader, master=master, task=task)
    with stopped_by(*ENDINGS):
        if is_worker():
            first = int(os.environ["ASD_WORKER_NUMBER"])
            _work(os.environ["ASD_WORKER"], composed.of(overrides, first), run)
            return
        title, cells = str(master.sweep.name or "sweep"), list(composed.of(overrides))
        outcomes = _coordinate(title, cells, launcher, run)
        if options.report and master.sweep.name:
            _show_tables(title, cells)
    if code := exit_code(outcomes):
        sys.exit(code)


def _coordinate(
    title: str, cells: list[Cell], launcher: object, run: Callable[[Cell], Outcome]
) -> list[Outcome]:
    """Show a sweep from its announcement to its summary; what became of what was not finished."""
    finished = [c for c in cells if c.state() == DONE and not c.has_more_to_do()]
    refused = [Outcome(c, None, failure_of(c)) for c in cells if c.error is not None]
    todo = [c for c in cells if c not in finished and c.error is None]
    began = time.monotonic()
    with Display(title, len(cells) - len(refused), len(finished)) as display:
        before = f", {len(finished)} finished before" if finished else ""
        more = f", {len(refused)} refused" if refused else ""
        display.say(f"{title}: {len(cells)} runs{before}{more}")
        for outcome in refused:
            display.say(f"refused: {outcome.cell.label}: {outcome.error}")
        observed = Observation(todo, display)
        try:
            _train(observed, launcher, run)
        finally:
            outcomes = [*refused, *observed.outcomes]
            failed = sum(outcome.error is not None for outcome in outcomes)
            fine = len(finished) + len(outcomes) - failed
            text = f"{title}: {fine} of {len(cells)} runs finished"
            text += f", {failed} failed" if failed else ""
            display.say(f"{text} in {duration(time.monotonic() - began)}")
            for line in failures(outcomes):
                display.say(line)
            if fine < len(cells):
                display.say(f"what is missing: {sweep_command()}")
    return outcomes


def _train(observed: Observation, launcher: object, run: Callable[[Cell], Outcome]) -> None:
    """Until all is done or no more can be. What another sweep trains is waited for."""
    workers = launcher if isinstance(launcher, WorkerLauncher) else None
    observed.sweep = workers.sweep if workers else sweep_start()
    for cell in observed.open.values():
        cell.count_deaths(None)

    def watch() -> bool:
        left = observed.look()
        if workers:
            workers.is_over = not observed.open
        return left

    vain = 0
    while observed.open and vain < 2:
        before = len(observed.open)
        if workers:
            workers.work(watch, before)
        else:
            _work(observed.sweep, list(observed.open.values()), run, observed)
        vain = vain + 1 if watch() and len(observed.open) == before else 0
        while observed.open and not watch():
            time.sleep(1.0)
    logs = f"; the workers' logs: {short(workers.folder)}" if workers else ""
    error = RunFailedError(f"not finished{logs}")
    observed.outcomes += [Outcome(cell, None, error) for cell in observed.open.values()]
    if workers and not observed.open:
        shutil.rmtree(workers.folder, ignore_errors=True)


def _work(
    sweep: str,
    cells: Iterable[Cell],
    run: Callable[[Cell], Outcome],
    observed: Observation | None = None,
) -> None:
    """Train cells in this process, until none is left that it could.

    Args:
        sweep: names its start.
        cells: to go through.
        run: one of them.
        observed: is told of each; None in a worker, which prints it.
    """
    trained: set[int] = set()
    before = -1
    while len(trained) > before:
        before, known = len(trained), []
        for cell in cells:
            known.append(cell)
            if cell.number in trained or not _is_free(cell, sweep):
                continue
            if cell.record().get("sweep") == sweep:  # it has begun anew, if it was to
                cell = dataclasses.replace(cell, overrides=(*cell.overrides, "force=false"))
            if observed:
                observed.display.started(cell)
            try:
                outcome = run(cell)
            finally:
                cell.sign(sweep)
            if observed:
                observed.look()
            else:
                print(f"{cell.label}: {summary(outcome)}", flush=True)
            if not isinstance(outcome.error, RunIsBusyError):
                trained.add(cell.number)
        cells = known


def _is_free(cell: Cell, sweep: str) -> bool:
    """Whether nobody has a cell and the sweep is not through with it, which it now may be."""
    if cell.folder is None or cell.state() == IN_PROGRESS or cell.is_through(sweep):
        return False
    if (deaths := cell.count_deaths(sweep)) < ATTEMPTS:
        return True
    note_failure(cell, RunFailedError(f"its process died {deaths} times (out of memory?)"))
    cell.sign(sweep)
    return False


def _show_tables(name: str, cells: list[Cell]) -> None:
    """Print AUC and pAUC of the sweep's finished runs, and how to see more."""
    from asd.documents import terminal
    from asd.reporting.bootstrap import Resampling
    from asd.reporting.content import WIDTH, table_blocks
    from asd.reporting.declaration import declaration
    from asd.reporting.runs import collect
    from asd.reporting.sections import Section, corpora

    folders = {cell.folder.path for cell in cells if cell.folder and cell.folder.scores.exists()}
    if not (runs := collect(folders).runs):
        return
    how = declaration(name), Resampling()
    parts = [Section(label, group, *how) for label, group in corpora(runs).items()]
    blocks = [block for part in parts for block in table_blocks(part, ["auc", "pauc"])]
    terminal.show(blocks, terminal.open_console(WIDTH))
    print(f"comparisons, pictures, files: python -m asd.report sweep={name}")
