"""Runs sorted into sections, one a corpus, each with its results, comparisons and claims."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field

import pandas as pd

from asd.errors import AsdError
from asd.reporting.bootstrap import Resampling
from asd.reporting.claims import Verdict, check_claim
from asd.reporting.compare import compare
from asd.reporting.declaration import Declaration, rows_of
from asd.reporting.results import COMPARED, Row, results
from asd.reporting.runs import Run
from asd.reporting.systems import System

_NOT_SHARED = ("+experiment=", "experiment=", "seed=", "force=", "if_running=", "+sweep=")


@dataclass(frozen=True)
class Options:
    """How to report.

    Args:
        resampling: of the clips.
        max_fpr: p of the partial AUC; None: the runs' own.
        compare: pairs of systems, by label, experiment or system name.
        data: the corpus that was asked for, for the commands of an empty table.
    """

    resampling: Resampling = field(default_factory=Resampling)
    max_fpr: float | None = None
    compare: tuple[tuple[str, str], ...] = ()
    data: str | None = None


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
        verdicts: a claim each, by metric.
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
    verdicts: list[dict[str, Verdict]] = field(default_factory=list)

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
            if name in (system.label, system.runs[0].experiment, system.runs[0].system):
                return system
        names = ", ".join(f"{s.runs[0].experiment} ({s.label})" for s in known) or "none"
        raise AsdError(f"compare: no finished run of {name!r} on {self.label}; there are: {names}")


def sections(runs: list[Run], declared: Declaration, options: Options) -> list[Section]:
    """Report on runs; several corpora give several sections, never one table.

    Raises:
        AsdError: a comparison names a system of which no section has a run.
    """
    by_data: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        by_data.setdefault((run.data_label, run.test_key), []).append(run)
    groups = sorted(by_data.values(), key=lambda group: (group[0].simulated, -len(group)))
    report = [_section(group, declared, options) for group in groups or [[]]]
    for section, group in zip(report, groups, strict=False):
        same = [g for g in groups if g[0].data_label == section.label]
        if len(same) > 1:
            section.notes.insert(0, _distinct(group, same))
    for pair in options.compare:
        _compare(report, *pair)
    return report


def _section(runs: list[Run], declared: Declaration, options: Options) -> Section:
    notes: list[str] = []
    own = sorted({run.max_fpr for run in runs}) or [0.1]
    max_fpr = own[0] if options.max_fpr is None else options.max_fpr
    if options.max_fpr is None and len(own) > 1:
        notes.append(f"runs differ in scoring.max_fpr ({own}); {max_fpr:g} is used for all")

    def system(label: str, candidates: list[Run]) -> System:
        return System(label, _repetitions(label, candidates, notes), max_fpr, options.resampling)

    table = declared.rows or rows_of(runs)
    candidates = [[run for run in runs if run.matches(row.where)] for row in table]
    row_systems = [
        system(r.label, c) if c else None for r, c in zip(table, candidates, strict=True)
    ]
    rest: dict[str, list[Run]] = {}
    for run in runs:
        if not any(run in group for group in candidates):
            rest.setdefault(run.experiment, []).append(run)
    others = [system(group[0].system, group) for group in rest.values()]
    seeds = sorted({seed for s in row_systems if s for seed in s.seeds}) or [0]
    shared = _shared_overrides(runs) if runs else _data_option(options.data)
    rows: list[Row] = []
    for row, its in zip(table, row_systems, strict=True):
        lacking = [seed for seed in seeds if its is None or seed not in its.seeds]
        command = row.command(",".join(map(str, lacking)), shared) if lacking else None
        rows.append((row, its, command))
    if others:
        names = ", ".join(f"{s.label} ({s.runs[0].experiment}, {len(s.runs)})" for s in others)
        notes.append(f"found, but no row of this table: {names}; --compare can name them")
    label = runs[0].data_label if runs else f"no finished run ({options.data or 'any data'})"
    simulated = bool(runs) and runs[0].simulated
    comparable = bool(runs) and all(run.of_the_paper for run in runs)
    frame = results(declared, rows, comparable)
    frame.insert(0, "data", label)
    frame.insert(1, "simulated", simulated)
    section = Section(
        label, simulated, comparable, max_fpr, options.resampling, rows, others, frame, notes
    )
    for claim in declared.claims:
        section.verdicts.append({m: check_claim(claim, section.systems, m) for m in COMPARED})
    return section


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


def _shared_overrides(runs: list[Run]) -> list[str]:
    """The overrides that every run's command has, but experiment and seed."""
    commands = [shlex.split(str(run.record.get("command", ""))) for run in runs]
    commands = [c for c in commands if c] or [[]]
    first = [o for o in commands[0] if "=" in o and not o.startswith(("-", *_NOT_SHARED))]
    shared = [o for o in first if all(o in c for c in commands)]
    named = any(o.startswith("data=") for o in shared)
    return shared if named else [*_data_option(runs[0].tags["data"]), *shared]


def _data_option(data: str | None) -> list[str]:
    return [f"data={data}"] if data not in (None, "simulated") else []


def _distinct(group: list[Run], groups: list[list[Run]]) -> str:
    mine = group[0].data_settings
    others = [g[0].data_settings for g in groups]
    differing = [n for n in mine if any(o.get(n) != mine[n] for o in others)]
    settings = ", ".join(f"data.{n}={mine[n]}" for n in differing)
    return f"another corpus has the same label; this one: {settings or 'other test clips'}"


def _compare(report: list[Section], a: str, b: str) -> None:
    refusals = []
    for section in report:
        try:
            pair = section.find(a), section.find(b)
            section.comparisons += [compare(*pair, metric) for metric in COMPARED]
        except AsdError as error:
            refusals.append(error)
    if len(refusals) == len(report):
        raise refusals[0]
