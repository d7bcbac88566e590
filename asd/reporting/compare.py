"""Is system A better than system B? The same clips, resampled jointly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asd.errors import AsdError
from asd.reporting.bootstrap import MEAN, Floats
from asd.reporting.systems import System


@dataclass(frozen=True)
class Difference:
    """A minus B in one metric.

    Args:
        where: a machine type, "mean", or the name of a group of types.
        a, b: figures, means over the trainings of each.
        low, high: interval of the difference.
        probability: share of the resamples in which A is above B, ties counted half.
        machines: those it is the mean of.
    """

    where: str
    a: float
    b: float
    low: float
    high: float
    probability: float
    machines: tuple[str, ...]

    @property
    def value(self) -> float:
        """A minus B."""
        return self.a - self.b


@dataclass(frozen=True)
class Comparison:
    """Two systems in one metric.

    Args:
        a, b: their labels.
        trainings: how many each has.
        metric: such as ``auc``.
        rows: per machine type in the tables' order, then the mean over those.
        left_out: machine types that could not be compared, with the reason.
    """

    a: str
    b: str
    trainings: tuple[int, int]
    metric: str
    confidence: float
    resamples: int
    rows: tuple[Difference, ...]
    left_out: tuple[str, ...]

    @property
    def mean(self) -> Difference | None:
        """Over the machine types that could be compared."""
        return self.rows[-1] if self.rows else None


def compare(a: System, b: System, metric: str) -> Comparison:
    """Compare two systems per machine type and on the mean over types.

    Clips are drawn jointly for both. Where a system has several trainings these are drawn too,
    independently, so that the interval holds for a new training on new clips; with one training it
    holds for this very training only.

    Raises:
        AsdError: they have no machine type in common.
    """
    machines, left_out = [], []
    for machine in dict.fromkeys([*a.machines, *b.machines]):
        reason = _not_comparable(a, b, metric, machine)
        if reason:
            left_out.append(f"{machine}: {reason}")
        else:
            machines.append(machine)
    if not machines:
        raise AsdError(f"{a.label} and {b.label} cannot be compared: {'; '.join(left_out)}")
    rows = [difference(a, b, metric, machine, (machine,)) for machine in machines]
    rows.append(difference(a, b, metric, MEAN, tuple(machines)))
    return Comparison(
        a.label,
        b.label,
        (len(a.runs), len(b.runs)),
        metric,
        a.resampling.confidence,
        a.resampling.resamples,
        tuple(rows),
        tuple(left_out),
    )


def difference(
    a: System, b: System, metric: str, where: str, machines: tuple[str, ...]
) -> Difference:
    """A minus B in the mean over some machine types, which both must have on the same clips.

    Raises:
        AsdError: a type is missing, undefined, or not on the same clips.
    """
    for machine in machines:
        reason = _not_comparable(a, b, metric, machine)
        if reason:
            raise AsdError(f"{machine}: {reason}")
    moved = _replicate(a, metric, machines) - _replicate(b, metric, machines)
    low, high = a.resampling.interval(moved)
    return Difference(
        where,
        float(a.mean_over(metric, list(machines)).mean()),
        float(b.mean_over(metric, list(machines)).mean()),
        low,
        high,
        float(np.mean((moved > 0) + 0.5 * (moved == 0))),
        machines,
    )


def _replicate(system: System, metric: str, machines: tuple[str, ...]) -> Floats:
    """[resamples] of a system's mean over machines and trainings."""
    figures = np.mean([system.resampled(metric, machine) for machine in machines], axis=0)
    weights = system.resampling.seeds(system.label, len(system.runs))
    return np.asarray(np.einsum("rs,sr->r", weights, figures))


def _not_comparable(a: System, b: System, metric: str, machine: str) -> str | None:
    for system in (a, b):
        if machine not in system.machines:
            return f"{system.label} has no scores of it"
        if np.isnan(system.values(metric, machine)).any():
            return f"its {metric} is undefined"
    if a.clips(machine) != b.clips(machine):
        return "not the same test clips"
    return None
