"""Runs sorted into sections, one a corpus, each with its results and comparisons."""

from __future__ import annotations

import shlex

import pandas as pd

from asd.composition import command_of
from asd.errors import AsdError
from asd.reporting.bootstrap import Resampling
from asd.reporting.compare import compare
from asd.reporting.declaration import Declaration, Rows
from asd.reporting.results import COMPARED, results
from asd.reporting.runs import Run
from asd.reporting.systems import System

_NOT_SHARED = ("-", "+experiment=", "experiment=", "seed=", "force=", "if_running=", "+sweep=")


class Section:
    """All that is said of the runs on one corpus.

    Args:
        label: of the data.
        runs: finished ones, scored on the same clips.
        declared: the table; experiments that are no row of it get rows below.
        resampling: of the clips.
        max_fpr: p of the partial AUC; None: the runs' own.
        data: the corpus that was asked for, for the commands of an empty table.

    Attributes:
        simulated, comparable: whether the sounds were made by a program; whether the published
            numbers may stand beside the figures.
        systems: those of the rows that have runs, by label.
        results: see ``asd.reporting.results``.
        notes: what a reader must know.
        comparisons: see ``asd.reporting.compare``; one table a pair and metric.
    """

    def __init__(
        self,
        label: str,
        runs: list[Run],
        declared: Declaration,
        resampling: Resampling,
        max_fpr: float | None = None,
        data: str | None = None,
    ) -> None:
        self.label, self.declared, self.resampling = label, declared, resampling
        self.notes: list[str] = []
        self.comparisons: list[pd.DataFrame] = []
        self.simulated = any(run.simulated for run in runs)
        self.comparable = bool(runs) and all(run.of_the_paper for run in runs)
        used = sorted({float(run.config["scoring"]["max_fpr"]) for run in runs}) or [0.1]
        self.max_fpr = used[0] if max_fpr is None else max_fpr
        if max_fpr is None and len(used) > 1:
            self.notes.append(
                f"runs differ in scoring.max_fpr: of {used} the first is used for all"
            )
        rows = _rows(declared, runs)
        self.systems: dict[str, System] = {}
        for row, where in rows.items():
            if matching := [run for run in runs if run.matches(where)]:
                chosen = _repetitions(row, matching, self.notes)
                self.systems[row] = System(row, chosen, self.max_fpr, resampling)
        commands = _commands(rows, self.systems, _shared_overrides(runs, data))
        self.results = results(declared, commands, self.systems, self.comparable)

    def find(self, name: str) -> System:
        """A system by its label, experiment or system name.

        Raises:
            AsdError: there is no run of it.
        """
        for system in self.systems.values():
            if name in system.names:
                return system
        known = ", ".join(f"{s.names[1]} ({s.label})" for s in self.systems.values()) or "none"
        raise AsdError(f"compare: no finished run of {name!r} on {self.label}; there are: {known}")

    def labelled(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Results or comparisons with what their data is in the first columns."""
        frame = frame.assign(data=self.label, simulated=self.simulated)
        return frame.set_index(["data", "simulated"]).reset_index()


def corpora(runs: list[Run], data: str | None = None) -> dict[str, list[Run]]:
    """The runs by the clips that they were scored on, which share no table.

    Args:
        runs: finished ones.
        data: the corpus that was asked for.

    Returns:
        A label of the data -> its runs: recorded ones first, then the largest group.
    """
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.record["data_label"], run.test_key), []).append(run)
    labels = [label for label, _ in groups]
    order = sorted(groups.items(), key=lambda one: (one[1][0].simulated, -len(one[1])))
    named = {
        label if labels.count(label) == 1 else f"{label}, test clips {key}": group
        for (label, key), group in order
    }
    return named or {f"no finished run ({data or 'any data'})": []}


def add_comparison(report: list[Section], a: str, b: str) -> None:
    """Compare two systems in every section that has both.

    Args:
        report: its sections.
        a, b: each a system's label, experiment or system name.

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


def _rows(declared: Declaration, runs: list[Run]) -> Rows:
    """The rows declared, and one for every other experiment."""
    rows = dict(declared.rows)
    for run in runs:
        if not any(run.matches(where) for where in rows.values()):
            name, system = run.tags["experiment"], run.tags["system"]
            rows[f"{system} ({name})" if system in rows else system] = {"experiment": [name]}
    return rows


def _repetitions(label: str, candidates: list[Run], notes: list[str]) -> list[Run]:
    """The runs of one setting, one a seed: the setting with most seeds, then the latest."""
    by_settings: dict[str, dict[int, Run]] = {}
    for run in candidates:  # oldest first
        by_settings.setdefault(run.settings, {})[run.seed] = run
    latest = {name: max(run.finished for run in of.values()) for name, of in by_settings.items()}
    chosen = by_settings[max(by_settings, key=lambda name: (len(by_settings[name]), latest[name]))]
    left = [run.folder.name for run in candidates if run is not chosen.get(run.seed)]
    if left:
        notes.append(
            f"{label}: {len(left)} more run{'s' if len(left) > 1 else ''} of other settings or "
            f"code, not pooled with these: {', '.join(left)}"
        )
    return [chosen[seed] for seed in sorted(chosen)]


def _commands(rows: Rows, systems: dict[str, System], shared: list[str]) -> dict[str, str]:
    """Label of each row -> what trains the seeds that it lacks, those of any row; or nothing."""
    seeds = sorted({seed for system in systems.values() for seed in system.seeds}) or [0]
    commands = {}
    for label, where in rows.items():
        lacking = [str(s) for s in seeds if label not in systems or s not in systems[label].seeds]
        named = {"+experiment" if n == "experiment" else n: v[0] for n, v in where.items()}
        options = [f"{name}={value}" for name, value in named.items()]
        rest = [option for option in shared if option.split("=", 1)[0] not in named]
        sweep = ["-m"] if len(lacking) > 1 else []
        command = command_of([*sweep, *options, f"seed={','.join(lacking)}", *rest])
        commands[label] = command if lacking else ""
    return commands


def _shared_overrides(runs: list[Run], data: str | None) -> list[str]:
    """The overrides that every run's command has, but experiment and seed; the corpus always."""
    commands = [shlex.split(str(run.record.get("command", ""))) for run in runs]
    commands = [c for c in commands if c] or [[]]
    first = [o for o in commands[0] if "=" in o and not o.startswith(_NOT_SHARED)]
    shared = [o for o in first if all(o in c for c in commands)]
    data = runs[0].tags["data"] if runs else data
    if data in (None, "simulated") or any(o.startswith("data=") for o in shared):
        return shared
    return [f"data={data}", *shared]
