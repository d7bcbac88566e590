"""Runs sorted into sections, each with its results and comparisons: a corpus and scale, settings
of options, or a search."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pandas as pd

from asd.errors import AsdError
from asd.reporting.bootstrap import COMPARED, Resampling
from asd.reporting.compare import compare, compare_pairs
from asd.reporting.costs import costs
from asd.reporting.declaration import Declaration
from asd.reporting.factors import groups, level, level_text, levels, numeric, share_a_loss, varied
from asd.reporting.results import results
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
        factors: options by which the rows are told apart; none: by what departs from presets.
        whole: whether rows without runs stand in the table also where it has one row or none with.

    Attributes:
        comparable: whether the published numbers may stand beside the figures of the rows declared.
        data: options of the corpus that are not its defaults, as overrides.
        max_fpr: p of the partial AUC, the smallest of the runs'; other_max_fpr: the rest.
        rows: see ``asd.reporting.rows``; systems: those that have runs, by label.
        shares_loss: whether they compare by validation loss.
        results, pairs, costs: see the functions that make them; pairs: of each metric.

    Raises:
        AsdError: the corpus, the scale or a row's preset is not known here.
    """

    def __init__(
        self,
        label: str,
        runs: list[Run],
        declared: Declaration,
        resampling: Resampling,
        factors: Sequence[str] = (),
        whole: bool = True,
    ) -> None:
        self.label, self.declared, self.resampling = label, declared, resampling
        self.factors = tuple(factors)
        self.comparisons: list[pd.DataFrame] = []
        self.simulated = any(run.simulated for run in runs)
        used = {float(run.config["scoring"]["max_fpr"]) for run in runs}
        self.max_fpr, *self.other_max_fpr = sorted(used)
        self._finder = finder = RowFinder(runs, self.max_fpr, resampling)
        self.data = finder.data_departures
        self.rows = finder.rows(declared.rows)
        filled = [row.label for row in self.rows[: len(declared.rows)] if row.runs]
        if not whole and len(filled) < 2:
            few: dict[str, Any] = {label: declared.rows[label] for label in filled}
            self.declared = declared = replace(declared, title="Finished runs", rows=few, claims=())
            self.rows = [row for row in self.rows if row.runs]
        if factors:
            self._name_by_factors(runs)
        self.systems = {row.label: row for row in self.rows if row.runs}
        systems = list(self.systems.values())
        self.shares_loss = share_a_loss(self.factors, [of.seeds for of in systems])
        self.comparable = (
            not self.simulated
            and not self.data
            and all(run.tags[name] == value for run in runs for name, value in PAPER.items())
            and finder.start.items() <= PAPER.items()  # scale.name is anyone's
            and all(set(of.machines) == set(declared.columns) for of in systems)
        )
        usual_fpr = self.max_fpr == finder.usual_fpr
        self.results = results(declared, self.rows, self.comparable, usual_fpr)
        self.pairs = pd.concat([compare_pairs(systems, metric) for metric in COMPARED])
        self.costs = costs(systems)

    def _name_by_factors(self, runs: list[Run]) -> None:
        """Rows in the order of the levels, labelled by them."""
        at = {row.label: [level(row.runs[0], name) for name in self.factors] for row in self.rows}
        told = {tuple(map(level_text, of)) for of in at.values()}
        if merged := {levels(run, self.factors) for run in runs} - told:
            which = f"by={','.join(self.factors)}: runs at {'; '.join(map(', '.join, merged))}"
            raise AsdError(f"{which} differ from others only in what cannot change a row")
        by = [float if numeric(column) else level_text for column in zip(*at.values(), strict=True)]
        self.rows.sort(key=lambda row: [key(v) for key, v in zip(by, at[row.label], strict=True)])
        for row in self.rows:
            pairs = zip(self.factors, at[row.label], strict=True)
            label = ", ".join(f"{name.rsplit('.', 1)[-1]} {level_text(v)}" for name, v in pairs)
            while label in [other.label for other in self.rows]:
                label += " (other training clips)"
            row.names, row.label = (row.label,), label

    @property
    def runs(self) -> list[Run]:
        """Those of its rows."""
        return [run for row in self.rows for run in row.runs]

    def best(self, metric: str) -> str:
        """The label of the system with the highest mean; empty: it is not defined of any."""
        defined = self.costs.dropna(subset=[metric]).sort_values(metric, kind="stable")
        return str(defined["system"].to_list()[-1]) if len(defined) else ""

    def find(self, name: str) -> System:
        """A system by its label, preset or name, or what is typed for it; ``AsdError``: none."""
        systems = self.systems.values()
        found = self.systems.get(name) or next((s for s in systems if name in s.names), None)
        if not found and ("=" in name or " " in name):
            found = self._finder.find(name, systems)
        if found:
            return found
        known = "; ".join(f"{s.names[0]} ({s.label})" if s.names else s.label for s in systems)
        raise AsdError(f"compare: no finished run of {name!r} on {self.label}; there are: {known}")


def sections(
    runs: list[Run],
    declared: Declaration,
    by: Sequence[str],
    whole: bool,
    resampling: Resampling,
    again: str = "python -m asd.report",
) -> tuple[list[Section], list[str]]:
    """The sections of a report, and what is to be said of runs in none and of other ways to look.

    Trials of searches never stand beside other runs; where there is nothing else, each search is
    reported by what it searched.

    Args:
        by: options; a row a setting of them, in place of the table declared.
        again: the command that reports these runs.

    Raises:
        AsdError: no two runs can be compared by these options, or see ``Section``.
    """
    said: list[str] = []
    parts: list[Section] = []
    refusals: list[AsdError] = []
    chosen: dict[str, list[Run]] = {}
    for run in runs:
        chosen.setdefault(run.tags["study"] if run.is_trial else "", []).append(run)
    for study in [*filter(None, chosen)] if "" in chosen else ():
        count = len(chosen.pop(study))
        said.append(f"{count} trials of {study} have no row here: {again} study={study}")
    for study, of_study in chosen.items():
        for label, of in corpora(of_study).items():
            factors = list(by) or (varied(of) if study else [])
            if not factors:
                part = Section(label, of, declared, resampling, whole=whole)
                parts.append(part)
                said += _suggestions(part, declared, of, again)
                continue
            names = ", ".join(factors)
            title = f"Search {study}" if study else f"By {names}"
            bare = replace(declared, title=title, rows={}, published={}, claims=(), baselines=())
            try:
                found, left_out = groups(of, factors)
                for rest, own in found.items():
                    where = ", ".join(filter(None, (label, rest)))
                    parts.append(Section(where, own, bare, resampling, factors))
            except AsdError as error:
                refusals.append(error)
                said.append(f"{label}: {error}.")
                continue
            if lone := len(left_out):
                said.append(f"{label}: {lone} runs have no partner that differs in {names} alone.")
    if not parts:
        raise refusals[0]
    return parts, said


def corpora(runs: list[Run]) -> dict[str, list[Run]]:
    """The runs by a label of the clips that they were scored on and of their scale, which share no
    table: recorded ones first, then the largest group."""
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        groups.setdefault(run.corpus, []).append(run)

    def name(corpus: tuple[str, ...]) -> str:
        """The label, and what tells it from others of that label."""
        others = zip(*(other for other in groups if other[0] == corpus[0]), strict=True)
        told = [part for part, known in zip(corpus, others, strict=True) if len(set(known)) > 1]
        return ", ".join([corpus[0], *told])

    order = sorted(groups.items(), key=lambda one: (one[1][0].simulated, -len(one[1])))
    return {name(corpus): group for corpus, group in order}


def add_comparison(report: list[Section], a: str, b: str) -> None:
    """Compare two systems, by any name, in every section that has both; ``AsdError``: none has."""
    refusals = []
    for section in report:
        try:
            pair = section.find(a), section.find(b)
            if pair[0] is pair[1]:
                raise AsdError(f"compare: {a} and {b} are both {pair[0].label}; name two systems")
            section.comparisons += [compare(*pair, metric) for metric in COMPARED]
        except AsdError as error:
            refusals.append(error)
    if len(refusals) == len(report):
        raise refusals[0]


def _suggestions(section: Section, declared: Declaration, runs: list[Run], again: str) -> list[str]:
    """Of a table by presets: what else the runs can be compared by, and what it leaves out."""
    said = []
    names = [name for name in varied(runs) if name != "experiment"]
    with suppress(AsdError):  # there is nothing to compare
        groups(runs, names)
        differ = f"{section.label}: runs differ in {', '.join(names)}"
        said.append(f"{differ}: {again} by={','.join(names)}")
    if unfilled := [label for label in declared.rows if label not in section.declared.rows]:
        said.append(
            f"{section.label}: {declared.title} has no runs of {', '.join(unfilled)}: "
            "python -m asd.train -m +sweep=NAME trains a table, sweep=NAME shows all of its rows."
        )
    return said
