"""Runs sorted into sections, one a corpus and scale, each with its results and comparisons."""

from __future__ import annotations

import pandas as pd

from asd.errors import AsdError
from asd.reporting.bootstrap import Resampling
from asd.reporting.compare import compare, compare_all
from asd.reporting.declaration import Declaration
from asd.reporting.results import COMPARED, results
from asd.reporting.rows import RowFinder
from asd.reporting.runs import Run
from asd.reporting.systems import System

# Of the published numbers: their corpus, the release that they score, and the scale.
PAPER = {"data": "dcase2020", "test": "development", "scale": "paper"}


class Section:
    """All that is said of the runs on one corpus.

    Args:
        label: of the data.
        runs: finished ones, scored on the same clips; at least one.
        declared: the table; what is no row of it gets rows below.
        resampling: of the clips.
        max_fpr: p of the partial AUC; None: the runs' own.
        trials: whether trials of searches get rows too; they do where there is nothing else.

    Attributes:
        simulated: whether the sounds were made by a program.
        comparable: whether the published numbers may stand beside the figures of the rows declared:
            the whole corpus as published, at the paper's scale.
        data: options of the corpus that are not its defaults, as overrides.
        rows: see ``asd.reporting.rows``; systems: those that have runs, by label.
        results: see ``asd.reporting.results``.
        notes: what a reader must know.
        comparisons: see ``asd.reporting.compare``; one table a pair and metric.
        learning: the same of every system with the baselines declared; a table a baseline and
            metric.

    Raises:
        AsdError: the corpus, the scale or a row's preset is not known here.
    """

    def __init__(
        self,
        label: str,
        runs: list[Run],
        declared: Declaration,
        resampling: Resampling,
        max_fpr: float | None = None,
        trials: bool = False,
    ) -> None:
        self.label, self.declared, self.resampling = label, declared, resampling
        self.notes: list[str] = []
        self.comparisons: list[pd.DataFrame] = []
        self.simulated = any(run.simulated for run in runs)
        used = sorted({float(run.config["scoring"]["max_fpr"]) for run in runs})
        self.max_fpr = used[0] if max_fpr is None else max_fpr
        if max_fpr is None and len(used) > 1:
            self.notes.append(f"runs differ in scoring.max_fpr: of {used} the first is used")
        finder = RowFinder(runs, lambda row, of: System(row, of, self.max_fpr, resampling))
        self.data = finder.data_departures
        only = not declared.rows or all("trial" in run.tags for run in runs)
        self.rows = finder.rows(declared.rows, trials or only)
        self.systems = {row.label: row for row in self.rows if row.runs}
        if studies := {run.tags["study"] for run in finder.left_out}:
            of = f"{len(finder.left_out)} of the trials of {', '.join(studies)}"
            self.notes.append(f"without a row: {of}; study=NAME shows them")
        self.comparable = (
            not self.simulated
            and not self.data
            and all(run.tags[name] == value for run in runs for name, value in PAPER.items())
            and finder.start.items() <= PAPER.items()  # scale.name is anyone's
            and all(set(of.machines) == set(declared.columns) for of in self.systems.values())
        )
        usual_fpr = self.max_fpr == finder.max_fpr
        baselines = [self.systems[row] for row in declared.baselines if row in self.systems]
        others = [one for one in self.systems.values() if one not in baselines]
        self.learning = [
            compare_all(others, baseline, metric)
            for metric in COMPARED
            for baseline in (baselines if others else [])
        ]
        self.results = results(declared, self.rows, self.comparable, usual_fpr)

    @property
    def used(self) -> int:
        """How many runs its rows have."""
        return sum(len(row.runs) for row in self.rows)

    def find(self, name: str) -> System:
        """A system by its label, preset or system name.

        Raises:
            AsdError: there is no run of it.
        """
        systems = self.systems.values()
        for system in [*(s for s in systems if s.label == name), *systems]:
            if name in (system.label, *system.names):
                return system
        known = ", ".join(f"{s.names[0]} ({s.label})" if s.names else s.label for s in systems)
        raise AsdError(f"compare: no finished run of {name!r} on {self.label}; there are: {known}")

    def labelled(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Results or comparisons with what their data is in the first columns."""
        frame = frame.assign(data=self.label, simulated=self.simulated)
        return frame.set_index(["data", "simulated"]).reset_index()


def corpora(runs: list[Run]) -> dict[str, list[Run]]:
    """The runs by the clips that they were scored on and their scale, which share no table.

    Returns:
        A label of the data -> its runs: recorded ones first, then the largest group.
    """
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(run.corpus, []).append(run)

    def name(corpus: tuple[str, ...]) -> str:
        """The label, and what tells it from others of that label."""
        label, *apart = corpus
        others = [other[1:] for other in groups if other[0] == label]
        return ", ".join(
            [label, *(p for i, p in enumerate(apart) if {o[i] for o in others} != {p})]
        )

    order = sorted(groups.items(), key=lambda one: (one[1][0].simulated, -len(one[1])))
    return {name(corpus): group for corpus, group in order}


def add_comparison(report: list[Section], a: str, b: str) -> None:
    """Compare two systems in every section that has both.

    Args:
        report: its sections.
        a, b: each a system's label, preset or system name.

    Raises:
        AsdError: no section has both.
    """
    refusals = []
    for section in report:
        try:
            pair = section.find(a), section.find(b)
            section.comparisons += [compare(*pair, metric) for metric in COMPARED]
        except AsdError as error:
            refusals.append(error)
    if len(refusals) == len(report):
        raise refusals[0]
