"""Runs compared by the options in which they differ: which belong together, and what matters.

A factor is an option, its levels are the values that were run: the words of experimental design.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np

from asd.composition import option_text, plain
from asd.documents.blocks import Table, Text, plain_row
from asd.errors import AsdError
from asd.experiment.identity import MISSING, departures, settings
from asd.experiment.run_labels import options_of, preset
from asd.options import hint
from asd.reporting.bootstrap import COMPARED, MEAN
from asd.reporting.runs import Run
from asd.reporting.systems import System
from asd.scoring.metrics import figure_name
from asd.scoring.tables import NAMES

# No factors: of one run alone, what makes sections of their own, and what a report has for all.
_APART = ("seed", "data", "scale", "sweep.name", "scoring.max_fpr")
# What makes the validation loss another quantity, or of other clips.
_OTHER_LOSS = {"loss", "experiment", "system", "frontend", "window", "data", "standardise",
               "release", "scope", "trainer.validation_fraction", "trainer.validation_seed"
               }  # fmt: skip
SEEDS, TOGETHER = "seeds", "together, beyond their sum"


def level(run: Run, factor: str) -> Any:
    """A run's value of an option or tag; of a config group the choice; ``MISSING``: no such."""
    if factor in run.options:
        return run.options[factor]
    target = str(run.options.get(f"{factor}._target_", MISSING)).rsplit(".", 1)[-1]
    return options_of(run.command).get(factor, target)


def level_text(value: Any) -> str:
    """In four digits."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else option_text(value)


def varied(runs: Sequence[Run]) -> list[str]:
    """The options that commands set and in which these runs differ, other than the seed."""
    found, excluded = [], tuple(f"{name}." for name in runs[-1].config["identity"]["exclude"])
    for name in dict.fromkeys(name for run in runs for name in options_of(run.command)):
        values = {level_text(level(run, name)) for run in runs}
        if len(values) > 1 and name not in _APART and not f"{name}.".startswith(excluded):
            found.append(name)
    return found


def groups(runs: Sequence[Run], factors: Sequence[str]) -> tuple[dict[str, list[Run]], list[Run]]:
    """Runs that differ in these factors and the seed alone, so that they may be compared by them.

    What follows from a factor by an interpolation (``model.embedding`` from ``scale``) may differ.
    Returned: what a group's runs have in common, in words -> they; and the runs that are in none.

    Raises:
        AsdError: there is no such group.
    """
    if "seed" in factors:
        raise AsdError("by=seed: a setting's spread is over its seeds; name another option")
    known = [run for run in runs if all(level(run, name) != MISSING for name in factors)]
    found: dict[str, list[Run]] = {}
    for run in known:
        found.setdefault(_rest(run, factors, known), []).append(run)
    several = [of for of in found.values() if len({levels(run, factors) for run in of}) > 1]
    if not several:
        names, others = ",".join(factors), [n for n in varied(runs) if n not in factors]
        also = f"; they differ in {', '.join(others)}: add to by=" * bool(others)
        if known:
            raise AsdError(f"by={names}: no two of {len(known)} runs differ in it alone{also}")
        absent = [n for n in factors if all(level(run, n) == MISSING for run in runs)] or factors
        options = sorted({name for run in runs for name in run.options})
        lacking = " and ".join(absent)
        raise AsdError(f"by={names}: no run has {lacking}{hint(lacking, options)}")
    words = [_typed(of[0], (*factors, *_APART)) for of in several]
    shared = set.intersection(*map(set, words))
    named: dict[str, list[Run]] = {}
    for own, of in zip(words, several, strict=True):
        label = " ".join(word for word in own if word not in shared)
        named[f"{label} ({len(named) + 1})".strip() if label in named else label] = of
    used = [run for of in several for run in of]
    return named, [run for run in runs if run not in used]


def levels(run: Run, factors: Sequence[str]) -> tuple[str, ...]:
    """A run's level of each factor, as text."""
    return tuple(level_text(level(run, name)) for name in factors)


def share_a_loss(factors: Sequence[str], seeds: Sequence[Sequence[int]]) -> bool:
    """Whether settings of these factors compare by validation loss: seeds choose its clips."""
    same_loss = not {*factors, *(name.split(".")[0] for name in factors)} & _OTHER_LOSS
    return bool(factors) and same_loss and len({*map(tuple, seeds)}) == 1


def numeric(values: Sequence[Any]) -> bool:
    """Whether levels are numbers, and so have an order and distances."""
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)


def _typed(run: Run, without: Sequence[str] = ("seed",)) -> list[str]:
    words = [word for word in shlex.split(run.command) if "=" in word or word.startswith("~")]
    return [word for word in words if word.lstrip("+").split("=")[0] not in without]


def _rest(run: Run, factors: Sequence[str], runs: Sequence[Run]) -> str:
    """All that a run is but for the factors and the seed, as text.

    That is what its command composes to with the first run's levels, and how the run departs from
    what its command composes to today.
    """
    first = []
    for name in factors:  # as it is typed; of a group whose default has no name here, another's
        typed = (options_of(other.command).get(name) for other in runs)
        choice = next(filter(None, typed), option_text(level(runs[0], name)))
        first.append(f"{'+' * (name == 'experiment')}{name}={choice}")
    exclude = [*run.config["identity"]["exclude"], "seed", "scoring.max_fpr"]
    try:
        alike = plain(preset([*_typed(run, ("seed", *factors)), *first]))
        odd = departures(run.config, plain(preset(_typed(run))))
    except AsdError:  # what the command names is not there any more, or is no choice
        odd, alike = {}, run.config
        exclude += factors
    rest = settings({**alike, "identity": {"exclude": exclude}})
    return json.dumps([rest, odd], sort_keys=True, default=str)


def shares(table: dict[tuple[str, ...], np.ndarray], factors: Sequence[str]) -> dict[str, float]:
    """Which option matters: its share of the variance of a figure over all trainings.

    The sums of squares of an analysis of variance, each setting with the same weight: they add to 1
    with what the factors do only together, and the seeds. Empty where nothing varies, and where not
    all combinations were run, so that the factors' effects cannot be told apart.

    Args:
        table: a level of each factor -> [trainings] the figure.
    """
    means = {at: float(values.mean()) for at, values in table.items()}
    known = [sorted({at[i] for at in means}) for i in range(len(factors))]
    seeds = np.mean([values.var() for values in table.values()])
    total = np.var(list(means.values())) + seeds
    if math.prod(map(len, known)) != len(means) or total < 1e-18:
        return {}
    main = {
        name: np.var([np.mean([v for at, v in means.items() if at[i] == one]) for one in known[i]])
        for i, name in enumerate(factors)
    }
    rest = {TOGETHER: total - seeds - sum(main.values())} if len(factors) > 1 else {}
    found = {**main, **rest, SEEDS: seeds}
    return {name: max(0.0, float(part / total)) for name, part in found.items()}


def shares_table(systems: Sequence[System], factors: Sequence[str], label: str) -> Table | Text:
    """``shares`` of AUC and pAUC: a row an option."""
    by = {levels(of.runs[0], factors): of for of in systems}
    found = [
        shares({at: of.values(figure_name(metric, MEAN)) for at, of in by.items()}, factors)
        for metric in COMPARED
    ]
    if not all(found):
        return Text("Not all combinations were run, or nothing varies: no shares are known.")
    rows = [plain_row(name, *(f"{100 * of[name]:.0f}" for of in found)) for name in found[0]]
    notes = [
        "Percent of the variance of the mean over all trainings: an analysis of variance; seeds: "
        "what the options do not explain. Few seeds give each option some of it by chance."
    ]
    title = f"Importance of options. {label}"
    return Table(["option", *(NAMES[metric] for metric in COMPARED)], rows, title, notes=notes)
