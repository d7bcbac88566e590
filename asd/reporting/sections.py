"""Runs sorted into sections, one a corpus, each with its tables, comparisons and claims."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field

from asd.errors import AsdError
from asd.reporting.bootstrap import Resampling
from asd.reporting.claims import Verdict, check_claims
from asd.reporting.compare import Comparison, compare
from asd.reporting.declaration import Declaration, TableRow, rows_of
from asd.reporting.grid import VIEWS, Grid, grid
from asd.reporting.runs import Run
from asd.reporting.systems import System

COMPARED = ("auc", "pauc")  # metrics of comparisons and claims
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
        grids: metric -> table.
        notes: what a reader must know.
    """

    label: str
    simulated: bool
    comparable: bool
    max_fpr: float
    resampling: Resampling
    rows: list[tuple[TableRow, System | None, str | None]]
    others: list[System]
    grids: dict[str, Grid] = field(default_factory=dict)
    comparisons: list[Comparison] = field(default_factory=list)
    verdicts: dict[str, list[Verdict]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

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
        there = ", ".join(f"{s.runs[0].experiment} ({s.label})" for s in known) or "none"
        raise AsdError(f"compare: no finished run of {name!r} on {self.label}; there are: {there}")


def sections(runs: list[Run], declared: Declaration, options: Options) -> list[Section]:
    """Report on runs; several corpora give several sections, never one table.

    Raises:
        AsdError: a comparison names a system of which no section has a run.
    """
    by_data: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        by_data.setdefault((run.data_label, run.test_key), []).append(run)
    groups = sorted(by_data.values(), key=lambda group: (group[0].simulated, -len(group)))
    made = [_section(group, declared, options) for group in groups]
    for section, group in zip(made, groups, strict=True):
        same = [g for s, g in zip(made, groups, strict=True) if s.label == section.label]
        if len(same) > 1:
            section.notes.insert(0, _distinct(group, same))
    made = made or [_section([], declared, options)]
    _compare(made, options)
    return made


def _section(runs: list[Run], declared: Declaration, options: Options) -> Section:
    notes: list[str] = []
    max_fpr = options.max_fpr
    if max_fpr is None:
        own = sorted({run.max_fpr for run in runs}) or [0.1]
        max_fpr = own[0]
        if len(own) > 1:
            notes.append(f"runs differ in scoring.max_fpr ({own}); {max_fpr:g} is used for all")

    def system(label: str, candidates: list[Run]) -> System:
        return System(label, _repetitions(label, candidates, notes), max_fpr, options.resampling)

    table = declared.rows or rows_of(runs)
    found: list[System | None] = []
    used: list[Run] = []
    for row in table:
        candidates = [run for run in runs if run.matches(row.where)]
        used += candidates
        found.append(system(row.label, candidates) if candidates else None)
    rest: dict[str, list[Run]] = {}
    for run in runs:
        if run not in used:
            rest.setdefault(run.experiment, []).append(run)
    others = [system(candidates[0].system, candidates) for candidates in rest.values()]
    seeds = sorted({seed for s in found if s for seed in s.seeds}) or [0]
    shared = _shared_overrides(runs) if runs else _asked(options.data)
    rows = []
    for row, its in zip(table, found, strict=True):
        lacking = [seed for seed in seeds if its is None or seed not in its.seeds]
        command = row.command(",".join(map(str, lacking)), shared) if lacking else None
        rows.append((row, its, command))
    if others:
        names = ", ".join(f"{s.label} ({s.runs[0].experiment}, {len(s.runs)})" for s in others)
        notes.append(f"found, but no row of this table: {names}; --compare can name them")
    label = runs[0].data_label if runs else f"no finished run ({options.data or 'any data'})"
    simulated = bool(runs) and runs[0].simulated
    comparable = bool(runs) and all(run.of_the_paper for run in runs)
    section = Section(
        label, simulated, comparable, max_fpr, options.resampling, rows, others, notes=notes
    )
    for metric in dict.fromkeys(m for metrics in VIEWS.values() for m in metrics):
        section.grids[metric] = grid(declared, rows, metric, comparable)
    for metric in COMPARED:
        section.verdicts[metric] = check_claims(section.systems, metric)
    return section


def _repetitions(label: str, candidates: list[Run], notes: list[str]) -> list[Run]:
    """The runs of one setting, one a seed: the setting with most seeds, then the latest."""
    by_settings: dict[str, dict[int, Run]] = {}
    for run in sorted(candidates, key=lambda run: (run.finished, run.name)):
        by_settings.setdefault(run.settings, {})[run.seed] = run
    chosen = max(
        by_settings.values(),
        key=lambda group: (len(group), max(r.finished for r in group.values())),
    )
    kept = [chosen[seed] for seed in sorted(chosen)]
    left = [run for run in candidates if run not in kept]
    if left:
        notes.append(
            f"{label}: {len(left)} more run{'s' if len(left) > 1 else ''} of other settings or "
            f"code, not pooled with these: {', '.join(run.name for run in left)}"
        )
    return kept


def _shared_overrides(runs: list[Run]) -> list[str]:
    """The overrides that every run's command has, but experiment and seed."""
    commands = [shlex.split(str(run.record.get("command", ""))) for run in runs]
    commands = [c for c in commands if c] or [[]]
    first = [o for o in commands[0] if "=" in o and not o.startswith(("-", *_NOT_SHARED))]
    shared = [o for o in first if all(o in c for c in commands)]
    named = {o.split("=", 1)[0] for o in shared}
    data = runs[0].tags["data"]
    return shared if "data" in named else [*_asked(data), *shared]


def _asked(data: str | None) -> list[str]:
    return [f"data={data}"] if data not in (None, "simulated") else []


def _distinct(group: list[Run], groups: list[list[Run]]) -> str:
    mine = group[0].data_settings
    others = [g[0].data_settings for g in groups]
    names = [n for n in mine if any(o.get(n) != mine[n] for o in others)]
    told = ", ".join(f"data.{n}={mine[n]}" for n in names)
    return f"another corpus has the same label; this one: {told or 'other test clips'}"


def _compare(made: list[Section], options: Options) -> None:
    for a, b in options.compare:
        refused = []
        for section in made:
            try:
                pair = section.find(a), section.find(b)
                found = [compare(*pair, metric) for metric in COMPARED]
            except AsdError as error:
                refused.append(str(error))
            else:
                section.comparisons += found
        if len(refused) == len(made):
            raise AsdError(refused[0])
