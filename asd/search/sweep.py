"""A search from its options to its plots: what ``OptunaSweeper.sweep`` does."""

from __future__ import annotations

import itertools
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_loader import ConfigLoader
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig

from asd.composition import build
from asd.options import check_choice
from asd.search import plots, summary
from asd.search.objectives import OBJECTIVES, TEST, check_comparable, directions, selected_on
from asd.search.options import SearchOptions
from asd.search.space import Space
from asd.search.store import exclusively, open_storage, storage_url
from asd.search.study import Question, build_sampler, open_study
from asd.search.study_run import publish_study
from asd.search.trials import Trials
from asd.search.workers import Worker
from asd.signals import stopped_by
from asd.sweeps.cells import Cell, Cells
from asd.sweeps.conduct import (
    Ended,
    conduct,
    exit_code,
    failures,
    short,
    sweep_command,
    without_traceback,
)
from asd.sweeps.display import Display, duration
from asd.sweeps.launching import StreamingLauncher

if TYPE_CHECKING:
    from optuna.study import Study


def sweep_search(
    context: HydraContext,
    master: DictConfig,
    launcher: Launcher,
    arguments: Sequence[str],
    options: dict[str, Any],
) -> None:
    """Run trials until the study has as many as it is to have.

    Raises:
        SystemExit: no trial completed, or too many failed (1; 2 if all that failed is for the user
            to mend).
        KeyboardInterrupt: stopped; the same command goes on.
    """
    with without_traceback(), stopped_by(signal.SIGTERM):
        checked = SearchOptions.of(options)
        code = Search(context.config_loader, master, arguments, checked).run(launcher)
    if code:
        sys.exit(code)


class Search:
    """One worker's part in a study.

    Args:
        loader: Hydra's.
        master: the config that no trial has touched.
        arguments: overrides, fixed ones and ranges.
        options: of the sweeper.

    Raises:
        AsdError: something of it cannot be used; nothing is begun.
    """

    study: Study

    def __init__(
        self,
        loader: ConfigLoader,
        master: DictConfig,
        arguments: Sequence[str],
        options: SearchOptions,
    ) -> None:
        given = [*options.space_arguments, *arguments]
        self.options = options
        self.space = Space.of(loader, given, options.custom_search_space)
        self.cells = Cells(loader, master)
        config = self.config = self.cells.compose(self.space.fixed)
        self.objectives: list[str] = config["search"]["objectives"]
        for name in self.objectives:
            check_choice("search.objectives", name, tuple(OBJECTIVES))
        self.warnings = check_comparable(self.objectives, list(self.space.axes))
        ways = directions(self.objectives, options.direction)
        self.url = storage_url(options.storage, config["paths"]["runs"])
        self.pruner = self._pruner()
        build_sampler(options.sampler, 0)  # refused now rather than at the first trial
        self.question = Question.of(
            config, self.space.described(), self.objectives, ways, options.custom_search_space
        )
        from asd.experiment.experiment import Experiment

        experiment = Experiment.of(config, {}, "")
        corpus = config["data"].get("name", experiment.corpus.name)
        base = f"{config['sweep']['name'] or 'search'}-{corpus}-{config['scale']['name']}"
        self.data_label = experiment.data_label
        self.study_name = options.study_name or self.question.name(base)
        self.title = str(config["sweep"]["name"] or "search")
        self.folder = Path(config["paths"]["runs"]).absolute() / "search" / self.study_name

    def run(self, launcher: Launcher) -> int:
        """Ask, run, tell; then say what was found.

        Returns:
            The exit status.
        """
        began = time.monotonic()
        with exclusively(self.url):
            storage = open_storage(self.url, make=True)
            self.study = open_study(storage, self.study_name, self.question, self.data_label)
        self.study.pruner = self.pruner
        done = sum(trial.state.is_finished() for trial in self.study.get_trials(deepcopy=False))
        total = max(self.options.n_trials, done)
        with (
            Worker(
                self.study, self.options.heartbeat_seconds, self.options.dead_after_seconds
            ) as worker,
            Display(self.title, total, done) as display,
        ):
            for line in self._announcement(done):
                display.say(line)
            trials = Trials(
                self.study, self.url, self.space, self.options, self.cells, worker, display.say
            )
            try:
                for part in self._parts(launcher, trials.cells_to_run()):
                    for ended in conduct(launcher, part, display, self._found):
                        trials.told(ended)
                        summary.write_table(self.study, self.folder / "trials.csv")
            finally:
                trials.release()
                took = duration(time.monotonic() - began)
                display.say(f"{self.title}: {len(trials.ended)} trials ended here in {took}")
                self._close(trials, display.say)
        if not trials.failed or (summary.counts(self.study)["completed"] and not trials.given_up):
            return 0
        return exit_code(trials.failed)

    def _pruner(self) -> Any:
        """The study's pruner; none where no objective is known by epoch."""
        from optuna.pruners import NopPruner

        by_epoch = len(self.objectives) == 1 and OBJECTIVES[self.objectives[0]].column is not None
        if not by_epoch:
            return NopPruner()
        return build(self.options.pruner, "hydra.sweeper.pruner")

    def _announcement(self, done: int) -> list[str]:
        from optuna.pruners import NopPruner

        said = [
            f"{self.title}: study {self.study.study_name}, {self.options.n_trials} trials, {done} "
            f"finished before; {', '.join(self.objectives)} on {selected_on(self.objectives)}",
            *self.warnings,
        ]
        if selected_on(self.objectives) == TEST:
            said.append(summary.test_warning(self.objectives))
        if isinstance(self.pruner, NopPruner) and "Nop" not in self.options.pruner["_target_"]:
            what = "several objectives" if len(self.objectives) > 1 else self.objectives[0]
            said.append(f"no trial is pruned: {what} cannot be judged epoch by epoch")
        return said

    def _parts(self, launcher: Launcher, cells: Iterator[Cell]) -> Iterator[Iterator[Cell]]:
        """All of them at once, or batches for a launcher that takes nothing else."""
        size = self.options.n_jobs
        if size is None and isinstance(launcher, StreamingLauncher):
            yield cells
            return
        while (first := next(cells, None)) is not None:
            yield itertools.chain([first], itertools.islice(cells, (size or 1) - 1))

    def _found(self, ended: Ended) -> str:
        """The objectives of a finished trial. Not its AUC, which a search is not to look at."""
        values = ended.value if isinstance(ended.value, list) else [ended.value]
        return ", ".join(
            f"{name} {value:.5g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in zip(self.objectives, values, strict=False)
        )

    def _close(self, trials: Trials, say: Callable[[str], None]) -> None:
        """Table, plots and the last lines."""
        summary.write_table(self.study, self.folder / "trials.csv")
        _, skipped = plots.draw(self.study, self.folder)
        from asd.tracking.mlflow_store import Tracking

        about = self.study.user_attrs
        tags = {
            "kind": "search",
            "study": self.study.study_name,
            "selected_on": about["selected_on"],
            "data_label": about["data"],
        }
        tracking = Tracking.of(self.config["tracking"])
        publish_study(self.study, self.folder, tracking, tags, sweep_command())
        for line in [*skipped, *summary.lines(self.study, self.space), *failures(trials.failed)]:
            say(line)
        say(f"table and plots: {short(self.folder)}")
        say(f"look at it: {summary.dashboard_command(self.url)}")
        if sum(summary.counts(self.study).values()) < self.options.n_trials or trials.given_up:
            say(f"what is missing: {sweep_command()}")
        elif summary.counts(self.study)["running"]:
            say(f"what was left unfinished, or other workers still run: {sweep_command()}")
