"""A search from its command to its plots: what ``hydra/sweeper=optuna`` does."""

from __future__ import annotations

import dataclasses
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.plugins.launcher import Launcher
from hydra.types import TaskFunction
from omegaconf import DictConfig
from optuna.study import Study

from asd.errors import AsdError
from asd.search import plots
from asd.search.conclusion import lines, publish, test_warning, write_table
from asd.search.objectives import TEST, selected_on
from asd.search.storage import is_there
from asd.search.study import Search, counts
from asd.search.trial_display import TrialDisplay
from asd.search.trials import TrialLoop
from asd.signals import stopped_by
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
        SystemExit: no trial completed, or too many failed (1; 2 if all that failed is for the user
            to mend); or stopped: the same command goes on.
    """
    # Hydra loads its plugins' files anew when it looks for them.
    from hydra._internal.core_plugins.basic_launcher import BasicLauncher

    with without_traceback(), stopped_by(signal.SIGTERM):
        search = Search(loader, master, arguments)
        if not isinstance(launcher, WorkerLauncher | BasicLauncher):
            raise AsdError(
                f"hydra/launcher: {type(launcher).__name__} runs no search; choose sequential, "
                "joblib, submitit_slurm or ray"
            )

        def run(cell: Cell) -> Outcome:
            return run_cell(_reporting(search, cell), loader, master, task)

        if is_worker():
            TrialLoop(search, search.load() or search.begin(), run, lambda: None).run()
        elif code := _conduct(search, launcher, run):
            sys.exit(code)


def _reporting(search: Search, cell: Cell) -> Cell:
    """A trial's cell whose run knows where to report to."""
    url = QuotedString(search.url, Quote.single).with_quotes()
    # Two trials with the same values are one run: the second waits for the first.
    more = (f"search.study={search.name}", f"search.trial={cell.number}", "if_running=wait")
    return dataclasses.replace(cell, overrides=(*cell.overrides, f"search.storage={url}", *more))


def _conduct(search: Search, launcher: Launcher, run: Callable[[Cell], Outcome]) -> int:
    """Begin the study, have its trials run, say what was found; the exit status."""
    start, study = time.monotonic(), search.begin()
    done = counts(study)["ended"]
    with Display(search.title, max(search.options.n_trials, done), done) as display:
        for line in _announcement(search, done):
            display.say(line)
        trials = TrialDisplay(search, study, display)
        try:
            if isinstance(launcher, WorkerLauncher):
                _work(launcher, trials, search.options.n_trials - done)
            else:
                TrialLoop(search, study, run, trials.look).run()
        finally:
            trials.look()
            display.say(f"{search.title}: ended after {duration(time.monotonic() - start)}")
            for line in _conclusion(search, study, trials.failed):
                display.say(line)
    given_up = search.too_many_failed(study)
    return exit_code(trials.failed) if given_up or not counts(study)["complete"] else 0


def _work(launcher: WorkerLauncher, trials: TrialDisplay, most: int) -> None:
    """Have workers run what is left; their logs stay if something still is."""
    for trial in trials.study.get_trials(deepcopy=False):
        if not trial.state.is_finished():  # whatever died with it did so before this start
            trials.cell(trial).count_deaths(None)

    def watch() -> bool:
        left = trials.look()
        launcher.is_over = not left
        return left

    if watch():
        launcher.work(watch, most)
    if watch():
        trials.display.say(f"not all trials ended; the workers' logs: {short(launcher.folder)}")
    else:
        shutil.rmtree(launcher.folder, ignore_errors=True)


def _announcement(search: Search, done: int) -> list[str]:
    objectives = search.objectives
    result = [
        f"{search.title}: study {search.name}, {search.options.n_trials} trials, {done} finished "
        f"before; {', '.join(objectives)} on {selected_on(objectives)}",
        *search.warnings,
    ]
    if selected_on(objectives) == TEST:
        result.append(test_warning(objectives))
    if not search.prunes and "Nop" not in search.options.pruner["_target_"]:
        which = "several objectives" if len(objectives) > 1 else objectives[0]
        result.append(f"no trial is pruned: {which} cannot be judged epoch by epoch")
    return result


def _conclusion(search: Search, study: Study, failed: list[Outcome]) -> list[str]:
    """Table, plots and MLflow run; the last lines."""
    write_table(study, search.folder / "trials.csv")
    result = plots.draw(study, search.folder)
    publish(search, study)
    result += [*lines(search, study), *failures(failed)]
    if search.too_many_failed(study):
        result.append(
            "too many trials failed, by hydra.sweeper.max_failure_rate="
            f"{search.options.max_failure_rate}; no more are begun"
        )
    if counts(study)["ended"] < search.options.n_trials:
        result.append(f"what is missing, unless other workers run it: {sweep_command()}")
    return result


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
    study = search.load() if is_there(search.url) else None
    if study is None:
        print(f"study {search.name}: not begun")
        return
    with Display(search.title, search.options.n_trials, counts(study)["ended"]) as display:
        trials = TrialDisplay(search, study, display)
        while watch and trials.look() and trials.running:
            time.sleep(1.0)
    for trial in study.get_trials(deepcopy=False):
        if error := trial.user_attrs.get("error"):
            print(f"failed: trial {trial.number}: {error}")
    print("\n".join(lines(search, study)))
