"""A search from its command to its plots: what ``hydra/sweeper=optuna`` does."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

from hydra.core.config_loader import ConfigLoader
from hydra.types import TaskFunction
from omegaconf import DictConfig

from asd.errors import shown
from asd.search.conclusion import draw, lines, write_table
from asd.search.objectives import selected_on
from asd.search.storage import reaching
from asd.search.study import Search, counts
from asd.search.trials import run_trials, trial_cells
from asd.sweeps import sweep_status
from asd.sweeps.sweep_status import exit_code, show_cells
from asd.sweeps.workers import WorkerLauncher, is_worker, work


def sweep_search(
    loader: ConfigLoader,
    master: DictConfig,
    launcher: WorkerLauncher | None,
    task: TaskFunction,
    arguments: Sequence[str],
) -> None:
    """Run trials until the study has as many as it is to have; otherwise as ``sweep_grid``.

    Raises:
        SystemExit: no trial completed, or some wait that this search will not run (1; 2 if all
            that failed is for the user to mend).
        KeyboardInterrupt: stopped; the same command goes on.
    """
    search = Search(loader, master, arguments)
    run = partial(search.cells.run, task=task)
    with reaching(search.url):
        study = search.begin()
        if is_worker():
            run_trials(search, study, run)
            return
        cells = partial(trial_cells, search, study)
        with sweep_status.shown(search.title, cells) as display:
            names = ", ".join(search.objectives)
            display.say(f"study {search.name}: {names} on {selected_on(search.objectives)}")
            for line in search.warnings:
                display.say(line)
            try:
                if display.open:
                    work(display, launcher, partial(run_trials, search, study, run))
            finally:
                write_table(search, study)
                for line in [*draw(search, study), *lines(search, study)]:
                    display.say(line)
        if display.left or not counts(study)["complete"]:
            sys.exit(exit_code([cell for cell in cells() if cell.failure()]) or 1)


def show_search(loader: ConfigLoader, master: DictConfig) -> None:
    """Print what has become of a study's trials, its best ones, and where to look."""
    search = Search(loader, master, list(master.hydra.overrides.task))
    with reaching(search.url):
        if (study := search.load()) is None:
            print(f"study {search.name}: not begun")
            return
        show_cells(search.title, trial_cells(search, study))
        print(shown("\n".join(lines(search, study))))
