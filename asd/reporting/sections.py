"""Runs sorted into sections, one a corpus, each with its results, comparisons and claims."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field

import pandas as pd

from asd.errors import AsdError
from asd.reporting.bootstrap import Resampling
from asd.reporting.claims import check_claim
from asd.reporting.compare import compare
from asd.reporting.declaration import Claim, Declaration, TableRow, rows_of
from asd.reporting.results import COMPARED, Row, results
from asd.reporting.runs import Run
from asd.reporting.systems import System

_NOT_SHARED = ("+experiment=", "experiment=", "seed=", "force=", "if_running=", "+sweep=")


@dataclass
class Section:
    """All that is said of the runs on one corpus.

    Args:
        label: of the data.
        simulated, comparable: whether the sounds were made by a program; whether the published
            numbers may stand beside the figures.
        rows: of the tables, each with its system and the command for what is missing.
        others: systems that are no row of the table.
        results: see ``asd.reporting.results``.
        notes: what a reader must know.
        comparisons: see ``asd.reporting.compare``; one table a pair and metric.
        verdicts: of each claim: metric -> (verdict, reason).
    """

    label: str
    simulated: bool
    comparable: bool
    max_fpr: float
    resampling: Resampling
    rows: list[Row]
    others: list[System]
    results: pd.DataFrame
    notes: list[str]
    comparisons: list[pd.DataFrame] = field(default_factory=list)
    verdicts: list[tuple[Claim, dict[str, tuple[str, str]]]] = field(default_factory=list)

    @property
    def systems(self) -> dict[str, System]:
        """The rows' systems by label."""
        return {row.label: system for row, system, _ in self.rows if system}

    def find(self, name: str) -> System:
        """A system by its label, experiment or system name.

        Raises:
            AsdError: there is no run of it.
        """
        known = [*self.systems.values(), *self.others]
        for system in known:
            if name in (system.label, system.experiment, system.runs[0].tags["system"]):
                return system
        names = ", ".join(f"{s.experiment} ({s.label})" for s in known) or "none"
        raise AsdError(f"compare: no finished run of {name!r} on {self.label}; there are: {names}")


def sections(
    runs: list[Run],
    declared: Declaration,
    resampling: Resampling | None = None,
    max_fpr: float | None = None,
    data: str | None = None,
) -> list[Section]:
    """Report on runs; several corpora give several sections, never one table.

    Args:
        runs: finished ones.
        declared: the table.
        resampling: of the clips; None: 1000 times.
        max_fpr: p of the partial AUC; None: the runs' own.
        data: the corpus that was asked for, for the commands of an empty table.
    """
    by_data: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        by_data.setdefault((run.data_label, run.test_key), []).append(run)
    groups = sorted(by_data.values(), key=lambda group: (group[0].simulated, -len(group)))
    how = resampling or Resampling()
    report = [_section(group, declared, how, max_fpr, data) for group in groups or [[]]]
    for section, group in zip(report, groups, strict=False):
        same = [g for g in groups if g[0].data_label == section.label]
        if len(same) > 1:
            section.notes.insert(0, _distinct(group, same))
    return report


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
            frames = [compare(*pair, metric) for metric in COMPARED]
        except AsdError as error:
            refusals.append(error)
            continue
        for frame in frames:
            section.comparisons.append(_labelled(frame, section.label, section.simulated))
    if len(refusals) == len(report):
        raise refusals[0]


def _section(
    runs: list[Run],
    declared: Declaration,
    resampling: Resampling,
    max_fpr: float | None,
    data: str | None,
) -> Section:
    notes: list[str] = []
    used = sorted({run.max_fpr for run in runs}) or [0.1]
    p = used[0] if max_fpr is None else max_fpr
    if max_fpr is None and len(used) > 1:
        notes.append(f"runs differ in scoring.max_fpr ({used}); {p:g} is used for all")

    def system(label: str, candidates: list[Run]) -> System:
        return System(label, _repetitions(label, candidates, notes), p, resampling)

    table = declared.rows or rows_of(runs)
    candidates = [[run for run in runs if run.matches(row.where)] for row in table]
    systems = [system(r.label, c) if c else None for r, c in zip(table, candidates, strict=True)]
    rest: dict[str, list[Run]] = {}
    for run in runs:
        if not any(run in group for group in candidates):
            rest.setdefault(run.tags["experiment"], []).append(run)
    others = [system(group[0].tags["system"], group) for group in rest.values()]
    if others:
        names = ", ".join(f"{s.label} ({s.experiment}, {len(s.runs)})" for s in others)
        notes.append(f"found, but no row of this table: {names}; --compare can name them")
    rows = _with_commands(table, systems, _shared_overrides(runs, data))
    label = runs[0].data_label if runs else f"no finished run ({data or 'any data'})"
    simulated = bool(runs) and runs[0].simulated
    comparable = bool(runs) and all(run.of_the_paper for run in runs)
    frame = _labelled(results(declared, rows, comparable), label, simulated)
    section = Section(label, simulated, comparable, p, resampling, rows, others, frame, notes)
    for claim in declared.claims:
        verdicts = {metric: check_claim(claim, section.systems, metric) for metric in COMPARED}
        section.verdicts.append((claim, verdicts))
    return section


def _with_commands(
    table: tuple[TableRow, ...], systems: list[System | None], shared: list[str]
) -> list[Row]:
    seeds = sorted({seed for s in systems if s for seed in s.seeds}) or [0]
    rows: list[Row] = []
    for row, system in zip(table, systems, strict=True):
        lacking = [str(seed) for seed in seeds if system is None or seed not in system.seeds]
        rows.append((row, system, row.command(",".join(lacking), shared) if lacking else None))
    return rows


def _repetitions(label: str, candidates: list[Run], notes: list[str]) -> list[Run]:
    """The runs of one setting, one a seed: the setting with most seeds, then the latest."""
    by_settings: dict[str, dict[int, Run]] = {}
    for run in sorted(candidates, key=lambda run: (run.finished, run.folder.name)):
        by_settings.setdefault(run.settings, {})[run.seed] = run
    chosen = max(
        by_settings.values(),
        key=lambda group: (len(group), max(r.finished for r in group.values())),
    )
    kept = [chosen[seed] for seed in sorted(chosen)]
    left = [run.folder.name for run in candidates if run not in kept]
    if left:
        notes.append(
            f"{label}: {len(left)} more run{'s' if len(left) > 1 else ''} of other settings or "
            f"code, not pooled with these: {', '.join(left)}"
        )
    return kept


def _shared_overrides(runs: list[Run], data: str | None) -> list[str]:
    """The overrides that every run's command has, but experiment and seed; the corpus always."""
    commands = [shlex.split(str(run.record.get("command", ""))) for run in runs]
    commands = [c for c in commands if c] or [[]]
    first = [o for o in commands[0] if "=" in o and not o.startswith(("-", *_NOT_SHARED))]
    shared = [o for o in first if all(o in c for c in commands)]
    data = runs[0].tags["data"] if runs else data
    if data in (None, "simulated") or any(o.startswith("data=") for o in shared):
        return shared
    return [f"data={data}", *shared]


def _distinct(group: list[Run], groups: list[list[Run]]) -> str:
    mine = group[0].data_settings
    others = [g[0].data_settings for g in groups]
    differing = [n for n in mine if any(o.get(n) != mine[n] for o in others)]
    settings = ", ".join(f"data.{n}={mine[n]}" for n in differing)
    return f"another corpus has the same label; this one: {settings or 'other test clips'}"


def _labelled(frame: pd.DataFrame, label: str, simulated: bool) -> pd.DataFrame:
    frame.insert(0, "data", label)
    frame.insert(1, "simulated", simulated)
    return frame
