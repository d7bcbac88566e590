"""A search from its command to its end: what ``hydra/sweeper=optuna`` does, and what was found."""

from __future__ import annotations

import re
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial

from hydra.core.config_loader import ConfigLoader
from hydra.types import TaskFunction
from omegaconf import DictConfig
from optuna.importance import get_param_importances
from optuna.study import Study
from optuna.trial import TrialState

from asd.composition import command_of
from asd.documents.rendering import harmless
from asd.errors import shown
from asd.files import write_text
from asd.pictures.grid_pictures import study_picture
from asd.search.objectives import LARGE, TEST, selected_on
from asd.search.storage import reaching
from asd.search.study import Search
from asd.search.trials import described, run_trials, trial_cells
from asd.sweeps.display import displayed
from asd.sweeps.sweep_status import short, show_cells
from asd.sweeps.workers import WorkerLauncher, is_worker, work

# Of several objectives' best trials, how many are printed; trials.csv has all.
_PRINTED = 5


def sweep_search(
    loader: ConfigLoader,
    master: DictConfig,
    launcher: WorkerLauncher | None,
    task: TaskFunction,
    arguments: Sequence[str],
) -> None:
    """Run trials until the study has as many as it is to have; otherwise as ``sweep_grid``.

    The status is 1 where no trial completed, or some wait that this search will not run.
    """
    search = Search(loader, master, arguments)
    run = partial(search.cells.run, task=task)
    with reaching(search.url):
        study = search.begin()
        if is_worker():
            run_trials(search, study, run)
            return
        cells = partial(trial_cells, search, study)
        with displayed(search.title, cells) as display:
            names = ", ".join(search.objectives)
            display.say(f"study {search.name}: {names} on {selected_on(search.objectives)}")
            for line in search.warnings:
                display.say(line)
            try:
                if display.open:
                    work(display, launcher, partial(run_trials, search, study, run))
            finally:
                _write_table(search, study)
                for line in [*draw(search, study), *_lines(search, study)]:
                    display.say(line)
        if display.left or not study.best_trials:
            sys.exit(1)


def show_search(loader: ConfigLoader, master: DictConfig) -> bool:
    """Print what has become of a study's trials, its best ones, and where to look."""
    search = Search(loader, master, list(master.hydra.overrides.task))
    with reaching(search.url):
        if (study := search.load()) is None:
            print(f"study {search.name}: not begun")
            return True
        waits = show_cells(search.title, trial_cells(search, study))
        print(shown("\n".join(_lines(search, study))))
        return waits


def _lines(search: Search, study: Study) -> list[str]:
    """What to print: counts, the best trials and how to run them again, and where to look."""
    states = Counter(trial.state.name.lower() for trial in study.get_trials(deepcopy=False))
    counts = ", ".join(f"{number} {state}" for state, number in sorted(states.items()))
    result = [f"study {search.name}: {counts}", *search.warnings]
    # Of several objectives, those that no other beats in all.
    best = sorted(study.best_trials, key=lambda trial: trial.values)
    for trial in best[:_PRINTED]:
        values = search.values_of(trial)
        result.append(f"best: trial {trial.number}, {values}: {described(trial.params)}")
        overrides = search.space.overrides(trial.params)
        again = [o for o in overrides if not o.startswith(("search.", "sweep."))]
        result.append(f"  run again: {command_of(again)}")
    if len(best) > _PRINTED:
        result.append(f"  and {len(best) - _PRINTED} more that none beats in all: trials.csv")
    result.append(f"table and plots: {short(search.folder)}")
    runs = shlex.quote(f"runs={search.runs}") + " " if str(search.runs) != "runs" else ""
    result.append(f"report: python -m asd.report {runs}study={search.name}")
    result.append(f"look at it: {shlex.join(['optuna-dashboard', search.url])}")
    return result


def _write_table(search: Search, study: Study) -> None:
    """``trials.csv`` of those that have begun: number, state, objectives, options, error, time."""
    attributes = ("number", "state", "values", "params", "user_attrs", "duration")
    table = study.trials_dataframe(attributes)
    table = table[table["state"] != TrialState.WAITING.name]
    columns = {c: re.sub("^(values|params|user_attrs)_", "", c) for c in table.columns}
    table = table.rename(columns={**columns, "number": "trial"})
    text = harmless(table).to_csv(index=False, float_format="%.6g")
    write_text(search.folder / "trials.csv", text)


def draw(search: Search, study: Study) -> list[str]:
    """Draw what can be drawn; a line for each plot that cannot be yet."""
    if not (done := study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))):
        return ["plots not drawn: no trial has completed"]
    title = f"{search.name}\n{search.data_label}"
    if selected_on(search.objectives) == TEST:
        title += ", SELECTED ON TEST CLIPS"
    shared = [name for name in done[0].params if all(name in t.params for t in done)]
    options = {name: [trial.params[name] for trial in done] for name in shared}
    skipped, objectives, folder = [], search.objectives, search.folder
    for i, name in enumerate(objectives):
        values = {trial.number: trial.values[i] for trial in done}
        try:
            shares = get_param_importances(study, target=lambda t: t.values[i])  # noqa: B023
        except (ValueError, RuntimeError) as error:
            shares = {}
            skipped.append(f"importances not drawn: {str(error).splitlines()[0]}")
        alone = len(objectives) == 1
        told = {t.number: v for t in study.trials if alone and (v := t.intermediate_values)}
        path = folder / ("search.png" if alone else f"search_{name}.png")
        study_picture(values, options, shares, told, name, name not in LARGE, title, path)
    return skipped
