"""Is system A better than system B? The same clips, resampled jointly."""

from __future__ import annotations

import numpy as np
import pandas as pd

from asd.errors import AsdError
from asd.reporting.bootstrap import MEAN, Floats
from asd.reporting.systems import System


def compare(a: System, b: System, metric: str) -> pd.DataFrame:
    """Compare two systems per machine type and on the mean over types.

    Clips are drawn jointly for both. Where a system has several trainings these are drawn too,
    independently, so that the interval holds for a new training on new clips; with one training it
    holds for this very training only.

    Returns:
        A row a machine type, then "mean" over those without a ``reason`` why they are left out:
        metric, a, b (labels), trainings_a, trainings_b, machine, what ``difference`` gives, reason.

    Raises:
        AsdError: they have no machine type in common.
    """
    machines = list(dict.fromkeys([*a.machines, *b.machines]))
    reasons = {machine: _not_comparable(a, b, metric, machine) for machine in machines}
    common = [machine for machine in machines if not reasons[machine]]
    if not common:
        each = "; ".join(f"{machine}: {reason}" for machine, reason in reasons.items())
        raise AsdError(f"{a.label} and {b.label} cannot be compared: {each}")
    rows = []
    for machine in [*common, MEAN]:
        figures = difference(a, b, metric, common if machine == MEAN else [machine])
        rows.append({"machine": machine, **figures, "reason": ""})
    rows += [{"machine": machine, "reason": why} for machine, why in reasons.items() if why]
    pair: dict[str, object] = {"metric": metric, "a": a.label, "b": b.label}
    pair |= {"trainings_a": len(a.runs), "trainings_b": len(b.runs)}
    return pd.DataFrame([{**pair, **row} for row in rows])


def difference(a: System, b: System, metric: str, machines: list[str]) -> dict[str, float]:
    """A minus B in the mean over some machine types, which both must have on the same clips.

    Returns:
        mean_a, mean_b (over the trainings of each), difference, difference_low, difference_high
        (its interval), probability_a_better (share of the resamples in which A is above B, ties
        counted half).

    Raises:
        AsdError: a type is missing, undefined, or not on the same clips.
    """
    for machine in machines:
        if reason := _not_comparable(a, b, metric, machine):
            raise AsdError(f"{machine}: {reason}")
    moved = _replicate(a, metric, machines) - _replicate(b, metric, machines)
    low, high = a.resampling.interval(moved)
    mean_a, mean_b = (
        float(np.mean([s.values(metric, m) for m in machines], axis=0).mean()) for s in (a, b)
    )
    return {
        "mean_a": mean_a,
        "mean_b": mean_b,
        "difference": mean_a - mean_b,
        "difference_low": low,
        "difference_high": high,
        "probability_a_better": float(np.mean((moved > 0) + 0.5 * (moved == 0))),
    }


def _replicate(system: System, metric: str, machines: list[str]) -> Floats:
    """[resamples] of a system's mean over machines and trainings."""
    figures = np.mean([system.resampled(metric, machine) for machine in machines], axis=0)
    weights = system.resampling.seeds(system.label, len(system.runs))
    return np.asarray(np.einsum("rs,sr->r", weights, figures))


def _not_comparable(a: System, b: System, metric: str, machine: str) -> str:
    for system in (a, b):
        if machine not in system.machines:
            return f"{system.label} has no scores of it"
        if np.isnan(system.values(metric, machine)).any():
            return f"its {metric} is undefined"
    return "" if a.clips(machine) == b.clips(machine) else "not the same test clips"
