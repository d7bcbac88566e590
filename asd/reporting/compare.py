"""Is system A better than system B? The same clips, resampled jointly, and several trainings."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from asd.errors import AsdError
from asd.reporting.bootstrap import MEAN
from asd.reporting.intervals import TRAININGS_NEEDED, Sample, estimate, holm
from asd.reporting.systems import System
from asd.scoring.metrics import figure_name

NOT_DECIDABLE = "not decidable"


def compare(a: System, b: System, metric: str) -> pd.DataFrame:
    """Compare two systems per machine type and on the mean over types.

    Returns:
        A row a machine type, then "mean" over those without a ``reason`` why they are left out:
        metric, a, b (labels), trainings_a, trainings_b, machine, what ``difference`` gives, p_holm
        (p corrected over the machine types; of the mean p itself), verdict (in words), reason.

    Raises:
        AsdError: they have no machine type in common.
    """
    machines = dict.fromkeys([*a.machines, *b.machines])
    reasons = {machine: _not_comparable(a, b, metric, machine) for machine in machines}
    common = [machine for machine, reason in reasons.items() if not reason]
    if not common:
        each = "; ".join(f"{machine}: {reason}" for machine, reason in reasons.items())
        raise AsdError(f"{a.label} and {b.label} cannot be compared: {each}")
    groups = {**{machine: [machine] for machine in common}, MEAN: common}
    found = [difference(a, b, metric, of) for of in groups.values()]
    corrected = [*holm([one["p"] for one in found[:-1]]), found[-1]["p"]]
    rows: list[dict[str, object]] = [
        {"machine": m, **one, "p_holm": p, "verdict": _verdict(a, b, one["difference"], p)}
        for m, one, p in zip(groups, found, corrected, strict=True)
    ]
    rows += [{"machine": machine, "reason": why} for machine, why in reasons.items() if why]
    pair = {"metric": metric, "a": a.label, "b": b.label}
    trainings = {"trainings_a": len(a.runs), "trainings_b": len(b.runs)}
    return pd.DataFrame([{**pair, **trainings, "reason": "", **row} for row in rows])


def compare_pairs(systems: Sequence[System], metric: str) -> pd.DataFrame:
    """Each two systems on the mean over the machine types that both have.

    Returns:
        A row a pair, a before b in ``systems``, as of ``compare``'s mean; p_holm is corrected over
        all pairs, so that it holds for those too that a reader picks after seeing the figures.
    """
    rows: list[dict[str, Any]] = []
    pairs = list(itertools.combinations(systems, 2))
    for a, b in pairs:
        counts = {"trainings_a": len(a.runs), "trainings_b": len(b.runs)}
        names = {"a": a.label, "b": b.label, "machine": MEAN, "reason": ""}
        rows.append({"metric": metric, **names, **counts})
        try:
            common = [machine for machine in a.machines if machine in b.machines]
            rows[-1] |= difference(a, b, metric, common)
        except AsdError as error:
            rows[-1]["reason"] = str(error)
    known = [(pair, row) for pair, row in zip(pairs, rows, strict=True) if not row["reason"]]
    for (pair, row), p in zip(known, holm([row["p"] for _, row in known]), strict=True):
        row |= {"p_holm": p, "verdict": _verdict(*pair, row["difference"], p)}
    return pd.DataFrame(rows)


def difference(a: System, b: System, metric: str, machines: list[str]) -> dict[str, float]:
    """A minus B in the mean over some machine types, which both must have on the same clips.

    Returns:
        mean_a, mean_b (over the trainings of each), difference, difference_low, difference_high,
        p (see ``asd.reporting.intervals.estimate``), resamples_a_above_b: the share of the
        resamples of the clips on which the mean of A's trainings is above that of B's, ties
        counted half; it says nothing of other trainings.

    Raises:
        AsdError: a type is missing, undefined, or not on the same clips.
    """
    for machine in machines:
        if reason := _not_comparable(a, b, metric, machine):
            raise AsdError(f"{machine}: {reason}")
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
        "difference": found.value,
        "difference_low": found.low,
        "difference_high": found.high,
        "p": found.p,
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


def _not_comparable(a: System, b: System, metric: str, machine: str) -> str:
    clips = []
    for system in (a, b):
        if machine not in system.machines:
            return f"{system.label} has no scores of it"
        if np.isnan(system.values(figure_name(metric, machine))).any():
            return f"its {metric} is undefined"
        clips.append(system.clips[machine])
    return "" if clips[0] == clips[1] else "not the same test clips"
