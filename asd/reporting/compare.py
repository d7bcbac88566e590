"""Is system A better than system B? The same clips, resampled jointly, and several trainings."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from asd.errors import AsdError
from asd.reporting.bootstrap import MEAN, TRAININGS_NEEDED, Sample, estimate, holm
from asd.reporting.systems import System
from asd.scoring.metrics import figure_name

NOT_DECIDABLE = "not decidable"


class Question(NamedTuple):
    """Is A or B better on the mean over some machine types, which are called ``name``?"""

    a: System
    b: System
    machines: Sequence[str]
    name: str = MEAN


def answers(family: Sequence[Question], metric: str) -> pd.DataFrame:
    """Several questions, answered together.

    Returns:
        A row a question: metric, a, b (labels), trainings_a, trainings_b, machine (its name),
        reason why it has no answer, what ``difference`` gives, p_holm (corrected over the family),
        verdict (in words) and sign (1: A is better than B, -1: the opposite, 0: not decidable).
    """
    rows: list[dict[str, Any]] = []
    for a, b, machines, name in family:
        pair = {"metric": metric, "a": a.label, "b": b.label}
        trainings = {"trainings_a": len(a.runs), "trainings_b": len(b.runs)}
        rows.append({**pair, **trainings, "machine": name, "reason": ""})
        try:
            rows[-1] |= difference(a, b, metric, machines)
        except AsdError as error:
            rows[-1]["reason"] = str(error)
    known = [(one, row) for one, row in zip(family, rows, strict=True) if not row["reason"]]
    for (one, row), p in zip(known, holm([row["p"] for _, row in known]), strict=True):
        verdict = _verdict(one.a, one.b, row["difference"], p)
        decided = not verdict.startswith(NOT_DECIDABLE)
        row |= {"p_holm": p, "verdict": verdict, "sign": decided * np.sign(row["difference"])}
    return pd.DataFrame(rows)


def compare(a: System, b: System, metric: str) -> pd.DataFrame:
    """``answers`` by machine type, then on the mean over the types that have one.

    Raises:
        AsdError: none has.
    """
    machines = dict.fromkeys([*a.machines, *b.machines])
    types = answers([Question(a, b, [machine], machine) for machine in machines], metric)
    common = types.loc[types["reason"] == "", "machine"].to_list()
    if not common:
        each = "; ".join(types["reason"])
        raise AsdError(f"{a.label} and {b.label} cannot be compared: {each}")
    return pd.concat([types, answers([Question(a, b, common)], metric)], ignore_index=True)


def compare_pairs(systems: Sequence[System], metric: str) -> pd.DataFrame:
    """``answers`` for each two systems on the mean over the machine types that both have.

    Corrected over all pairs, they hold for those too that a reader picks after seeing the figures.
    """
    pairs = itertools.combinations(systems, 2)
    return answers([Question(a, b, shared_machines(a, b)) for a, b in pairs], metric)


def shared_machines(a: System, b: System) -> list[str]:
    """The machine types of A that B has too."""
    return [machine for machine in a.machines if machine in b.machines]


def difference(a: System, b: System, metric: str, machines: Sequence[str]) -> dict[str, float]:
    """A minus B in the mean over some machine types, which both must have on the same clips.

    Returns:
        Means, and what ``asd.reporting.bootstrap.estimate`` gives; resamples_a_above_b: the share
        of the resamples of the clips on which the mean of A's trainings is above that of B's, ties
        counted half; it says nothing of other trainings.

    Raises:
        AsdError: a type is missing, undefined, or not on the same clips.
    """
    for machine in machines:
        for system in (a, b):
            if machine not in system.machines:
                raise AsdError(f"{machine}: {system.label} has no scores of it")
            if np.isnan(system.values(figure_name(metric, machine))).any():
                raise AsdError(f"{machine}: its {metric} is undefined")
        if a.clips[machine] != b.clips[machine]:
            raise AsdError(f"{machine}: not the same test clips")
    names = [figure_name(metric, machine) for machine in machines]
    samples = [
        Sample(*(np.mean([of(name) for name in names], axis=0) for of in (s.values, s.resampled)))
        for s in (a, b)
    ]
    found = estimate(a.resampling, *samples)
    moved = np.subtract(*(sample.resampled.mean(axis=0) for sample in samples))
    return {
        "mean_a": float(samples[0].values.mean()),
        "mean_b": float(samples[1].values.mean()),
        **dict(zip(("difference", "difference_low", "difference_high", "p"), found, strict=True)),
        "resamples_a_above_b": float(np.mean((moved > 0) + 0.5 * (moved == 0))),
    }


def seeds_of(*systems: System) -> str:
    """Such as "3 seeds of U, 1 of B"."""
    first, *others = ((len(system.runs), system.label) for system in systems)
    texts = [f"{first[0]} seed{'s' if first[0] > 1 else ''} of {first[1]}"]
    return ", ".join([*texts, *(f"{n} of {label}" for n, label in others)])


def too_few(*systems: System) -> str:
    """Why nothing can be said of these systems' other trainings; empty where it can."""
    if min(len(system.runs) for system in systems) >= TRAININGS_NEEDED:
        return ""
    return f"{seeds_of(*systems)}; {TRAININGS_NEEDED} of each are needed"


def _verdict(a: System, b: System, points: float, p: float) -> str:
    """In words, with the number of seeds; p is corrected."""
    if reason := too_few(a, b):
        return f"{NOT_DECIDABLE}: {reason}"
    if p >= 1 - a.resampling.confidence:
        return f"{NOT_DECIDABLE} ({seeds_of(a, b)})"
    return f"{(a if points > 0 else b).label} is better ({seeds_of(a, b)})"
