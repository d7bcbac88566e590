"""A system in a report: its trainings on one set of test clips, their figures and resamples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from asd.reporting.bootstrap import MEAN, Floats, Key, Resampling, replicates
from asd.reporting.runs import Run
from asd.scoring.metrics import ID_METRICS, MACHINE_METRICS, Metrics, evaluate_scores


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

    @property
    def seeds(self) -> list[int]:
        """Of its trainings."""
        return [run.seed for run in self.runs]

    @property
    def experiment(self) -> str:
        """Name of the preset that was trained, such as ``ss_0.5``."""
        return self.runs[0].tags["experiment"]

    @cached_property
    def metrics(self) -> list[Metrics]:
        """Of each training."""
        return [evaluate_scores(run.scores, self.max_fpr) for run in self.runs]

    def values(self, metric: str, machine: str, machine_id: str = "") -> Floats:
        """[seeds] a metric of a machine type, of "mean", or of a machine ID; NaN: undefined."""
        key = (metric, machine, machine_id)
        return np.array([figures.get(key, np.nan) for figures in self._figures])

    def resampled(self, metric: str, machine: str, machine_id: str = "") -> Floats:
        """[seeds, resamples] the same on resampled clips."""
        undefined = np.full(self.resampling.resamples, np.nan)
        key = (metric, machine, machine_id)
        return np.array([figures.get(key, undefined) for figures in self._replicates])

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

    @cached_property
    def _figures(self) -> list[dict[Key, float]]:
        return [_keyed(metrics) for metrics in self.metrics]

    @cached_property
    def _replicates(self) -> list[dict[Key, Floats]]:
        return [replicates(run.scores, self.max_fpr, self.resampling) for run in self.runs]


def _keyed(metrics: Metrics) -> dict[Key, float]:
    keyed = {(name, MEAN, ""): value for name, value in metrics.mean.items()}
    for table, names in ((metrics.per_machine, MACHINE_METRICS), (metrics.per_id, ID_METRICS)):
        for row in table.to_dict("records"):
            keyed |= {(name, row["machine"], row.get("id", "")): row[name] for name in names}
    return keyed
