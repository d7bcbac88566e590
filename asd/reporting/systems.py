"""A system in a report: its trainings on one set of test clips, their figures and resamples."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from asd.reporting.bootstrap import Floats, Resampling, Sample, replicates
from asd.reporting.runs import Run
from asd.scoring.metrics import evaluate_scores, flat_metrics, machine_order


@dataclass
class System:
    """The trainings of one system, one a seed: a row of a table.

    Args:
        runs: of the same settings and different seeds, scored on the same clips; none: missing.
        max_fpr: p of the partial AUC.
        names: others by which it may be asked for: of a preset, such as ``ss_0.5``, and its system.
        command: that trains the seeds which it lacks; empty: none.
        notes: what a reader must know of its runs.
    """

    label: str
    runs: list[Run]
    max_fpr: float
    resampling: Resampling
    names: tuple[str, ...] = ()
    command: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def seeds(self) -> list[int]:
        """Of its trainings."""
        return [run.seed for run in self.runs]

    @property
    def marked(self) -> str:
        """The label, with a star where a training had not converged."""
        return self.label + " *" * any(run.not_converged for run in self.runs)

    def values(self, figure: str) -> Floats:
        """[seeds] a figure (``asd.scoring.metrics.figure_name``); NaN: undefined."""
        return np.array([flat.get(figure, np.nan) for flat in self._metrics])

    def sample(self, *figures: str) -> Sample:
        """The mean of some figures, of each training and on resampled clips."""
        undefined = np.full(self.resampling.resamples, np.nan)
        moved = [[of.get(name, undefined) for of in self._replicates] for name in figures]
        values = [self.values(name) for name in figures]
        return Sample(np.mean(values, axis=0), np.mean(moved, axis=0))

    @property
    def machines(self) -> list[str]:
        """Its machine types, as its first training has them, in the tables' order."""
        return machine_order(self.runs[0].scores["machine"]) if self.runs else []

    @cached_property
    def clips(self) -> dict[str, list[Any]]:
        """Machine type -> ID, file and label of the clips that are scored, of known label."""
        known = self.runs[0].scores.query("label >= 0").groupby("machine")
        return {str(m): of[["id", "file", "label"]].to_numpy().tolist() for m, of in known}

    @property
    def ids(self) -> list[tuple[str, str]]:
        """(machine, ID) in the tables' order; scores are sorted by ID."""
        own = {m: self.runs[0].scores.query("machine == @m")["id"] for m in self.machines}
        return [(machine, one) for machine, ids in own.items() for one in ids.unique()]

    @cached_property
    def _metrics(self) -> list[dict[str, float]]:
        return [flat_metrics(evaluate_scores(run.scores, self.max_fpr)) for run in self.runs]

    @cached_property
    def _replicates(self) -> list[dict[str, Floats]]:
        return [replicates(run.scores, self.max_fpr, self.resampling) for run in self.runs]
