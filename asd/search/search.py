"""A search from its command to its plots: what ``hydra/sweeper=optuna`` does."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from hydra.core.config_loader import ConfigLoader
from hydra.plugins.launcher import Launcher
from hydra.types import TaskFunction
from omegaconf import DictConfig
from optuna.study import Study

from asd.errors import AsdError
from asd.search.conclusion import draw, publish, write_table
from asd.search.objectives import selected_on
from asd.search.storage import reaching
from asd.search.study import Search, counts
from asd.search.study_display import StudyDisplay, lines
from asd.search.trials import run_trials
from asd.signals import ENDINGS, stopped_by
from asd.sweeps.cells import Cell
from asd.sweeps.display import Display, duration
from asd.sweeps.outcomes import (
    Outcome,
    exit_code,
    failures,
    run_cell,
    short,
    sweep_command,
    without_traceback,
)
from asd.sweeps.workers import WorkerLauncher, is_worker


def sweep_search(
    loader: ConfigLoader,
    master: DictConfig,
    launcher: Launcher,
    task: TaskFunction,
    arguments: Sequence[str],
) -> None:
    """Run trials until the study has as many as it is to have; a worker only its part of them.

    Raises:
        SystemExit: no trial completed, or some wait that this search will not run (1; 2 if all
            that failed is for the user to mend); or stopped: the same command goes on.
    """
    # Hydra loads its plugins' files anew when it looks for them.
    from hydra._internal.core_plugins.basic_launcher import BasicLauncher

    with without_traceback(), stopped_by(*ENDINGS):
        search = Search(loader, master, arguments)
        if not isinstance(launcher, WorkerLauncher | BasicLauncher):
            raise AsdError(
                f"hydra/launcher: {type(launcher).__name__} runs no search; choose sequential, "
                "joblib, submitit_slurm or ray"
            )
        run = partial(run_cell, loader=loader, master=master, task=task)
        with reaching(search.url):
            study = search.begin()
            if is_worker():
                run_trials(search, study, run, lambda: None)
            elif code := _conduct(search, study, launcher, run):
                sys.exit(code)


def _conduct(
    search: Search, study: Study, launcher: Launcher, run: Callable[[Cell], Outcome]
) -> int:
    """Have the trials run, show how they go and what was found; the exit status."""
    start, total, done = time.monotonic(), search.options.n_trials, counts(study)["ended"]
    with Display(search.title, max(total, done), done) as display:
        display.say(
            f"{search.title}: study {search.name}, {total} trials, {done} finished before; "
            f"{', '.join(search.objectives)} on {selected_on(search.objectives)}"
        )
        for line in search.warnings:
            display.say(line)
        trials = StudyDisplay(search, study, display)
        try:
            if isinstance(launcher, WorkerLauncher):
                _work(launcher, trials, total - done)
            else:
                run_trials(search, study, run, trials.look)
        finally:
            trials.look()
            write_table(search, study)
            skipped = draw(search, study)
            publish(search, study)
            display.say(f"{search.title}: ended after {duration(time.monotonic() - start)}")
            for line in [*skipped, *lines(search, study), *failures(trials.failed)]:
                display.say(line)
            if trials.left:
                display.say(f"what is missing, unless other workers run it: {sweep_command()}")
    given_up = trials.left and trials.waiting
    return (exit_code(trials.failed) or 1) if given_up or not counts(study)["complete"] else 0


def _work(launcher: WorkerLauncher, trials: StudyDisplay, most: int) -> None:
    """Have workers run what is left; their logs stay if something still is."""

    def watch() -> bool:
        with suppress(AsdError), reaching(trials.search.url):  # which may be away for a moment
            trials.look()
        launcher.is_over = not trials.left
        return trials.left

    if trials.look():
        launcher.work(watch, most)
    if trials.look():
        trials.display.say(f"not all trials ended; the workers' logs: {short(launcher.folder)}")
    else:
        shutil.rmtree(launcher.folder, ignore_errors=True)


def show_search(loader: ConfigLoader, master: DictConfig, watch: bool) -> None:
    """Print a study's trials by state, its best ones, why trials failed, and where to look.

    Args:
        loader: Hydra's.
        master: the search's config.
        watch: show live what runs, until nothing does.

    Raises:
        AsdError: the search's options or its storage cannot be used.
    """
    search = Search(loader, master, list(master.hydra.overrides.task))
    with reaching(search.url):
        study = search.load()
        if study is None:
            print(f"study {search.name}: not begun")
            return
        with Display(search.title, search.options.n_trials, counts(study)["ended"]) as display:
            trials = StudyDisplay(search, study, display)
            while watch and trials.look() and trials.running:
                time.sleep(1.0)
        for trial in study.get_trials(deepcopy=False):
            if error := trial.user_attrs.get("error"):
                print(f"failed: trial {trial.number}: {error}")
        print("\n".join(lines(search, study)))
