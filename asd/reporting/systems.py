"""A system in a report: its trainings on one set of test clips, their figures and resamples."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from asd.reporting.bootstrap import MEAN, Floats, Replicates, Resampling, replicates
from asd.reporting.runs import Run
from asd.scoring.metrics import Metrics, evaluate_scores


@dataclass
class System:
    """The trainings of one system, one a seed.

    Args:
        label: its name in tables.
        runs: of the same settings and different seeds, scored on the same clips.
        max_fpr: p of the partial AUC.
        resampling: how to resample the clips.
    """

    label: str
    runs: list[Run]
    max_fpr: float
    resampling: Resampling
    _replicates: dict[str, list[Replicates]] = field(default_factory=dict, repr=False)

    @property
    def seeds(self) -> list[int]:
        """Of its trainings."""
        return [run.seed for run in self.runs]

    @cached_property
    def metrics(self) -> list[Metrics]:
        """Of each training."""
        return [evaluate_scores(run.scores, self.max_fpr) for run in self.runs]

    def values(self, metric: str, machine: str) -> Floats:
        """[seeds] a metric of a machine type, or of "mean"; NaN where it is undefined."""
        if machine == MEAN:
            return np.array([m.mean[metric] for m in self.metrics])
        return np.array([_cell(m.per_machine, metric, machine=machine) for m in self.metrics])

    def id_values(self, metric: str, machine: str, machine_id: str) -> Floats:
        """[seeds] a metric of a machine ID."""
        return np.array(
            [_cell(m.per_id, metric, machine=machine, id=machine_id) for m in self.metrics]
        )

    def mean_over(self, metric: str, machines: list[str]) -> Floats:
        """[seeds] mean over some machine types."""
        return np.asarray(np.mean([self.values(metric, m) for m in machines], axis=0))

    def resampled(self, metric: str, machine: str) -> Floats:
        """[seeds, resamples] a metric of a machine type or of "mean" on resampled clips."""
        empty = np.full(self.resampling.resamples, np.nan)
        return np.array([r.machines[metric].get(machine, empty) for r in self._resample(metric)])

    def id_resampled(self, metric: str, machine: str, machine_id: str) -> Floats:
        """[seeds, resamples] a metric of a machine ID on resampled clips."""
        empty = np.full(self.resampling.resamples, np.nan)
        return np.array(
            [r.ids[metric].get((machine, machine_id), empty) for r in self._resample(metric)]
        )

    def clips(self, machine: str) -> tuple[tuple[str, str, int], ...]:
        """ID, file and label of a machine type's clips; empty if it has none."""
        frame = self.runs[0].scores
        own = frame[(frame["machine"] == machine) & (frame["label"] >= 0)]
        return tuple(own[["id", "file", "label"]].itertuples(index=False, name=None))

    @property
    def machines(self) -> list[str]:
        """Its machine types, as its first training has them, in the tables' order."""
        return [str(m) for m in self.metrics[0].per_machine["machine"]]

    @property
    def ids(self) -> list[tuple[str, str]]:
        """(machine, ID) in the tables' order."""
        table = self.metrics[0].per_id
        return [(str(m), str(i)) for m, i in zip(table["machine"], table["id"], strict=True)]

    def _resample(self, metric: str) -> list[Replicates]:
        if metric not in self._replicates:
            self._replicates[metric] = [
                replicates(run.scores, self.max_fpr, self.resampling, (metric,))
                for run in self.runs
            ]
        return self._replicates[metric]


def _cell(table: pd.DataFrame, column: str, **where: str) -> float:
    keep = np.ones(len(table), dtype=bool)
    for name, value in where.items():
        keep &= (table[name] == value).to_numpy()
    found = table.loc[keep, column]
    return float(found.iloc[0]) if len(found) else float("nan")
