"""Which sections a report has: the paper's table, settings of options, or trials of a search."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from asd.errors import AsdError
from asd.reporting.bootstrap import Resampling
from asd.reporting.declaration import Declaration
from asd.reporting.factors import groups, varied
from asd.reporting.runs import Run
from asd.reporting.sections import Section, corpora


def sections(
    runs: list[Run],
    declared: Declaration,
    by: Sequence[str],
    whole: bool,
    resampling: Resampling,
    max_fpr: float | None,
) -> tuple[list[Section], list[str]]:
    """The sections of a report of these runs.

    Args:
        runs: finished ones, at least one. Trials of searches never stand beside other runs; where
            there is nothing else, each search is reported by what it searched.
        declared: the table, without ``by``.
        by: options; a row a setting of them.
        whole: see ``Section``; without it, a table of which hardly a row was run is not shown.
        resampling, max_fpr: see ``Section``.

    Returns:
        They, and what is to be said of runs that stand in none, and of other ways to look.

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
        command = f"python -m asd.report study={study}"
        said.append(f"{len(chosen.pop(study))} trials of {study} have no row here: {command}")
    for study, of_study in chosen.items():
        for label, of in corpora(of_study).items():
            factors = list(by) or (varied(of) if study else [])
            if not factors:
                part = Section(label, of, declared, resampling, max_fpr, whole=whole)
                parts.append(part)
                said += _suggestions(part, declared, of)
                continue
            try:
                found, left_out = groups(of, factors)
            except AsdError as error:
                refusals.append(error)
                said.append(f"{label}: {error}.")
                continue
            names = ", ".join(factors)
            title = f"Search {study}" if study else f"By {names}"
            bare = replace(declared, title=title, rows={}, published={}, claims=(), baselines=())
            for rest, own in found.items():
                where = f"{label}, {rest}" if rest else label
                parts.append(Section(where, own, bare, resampling, max_fpr, factors))
            if left_out:
                lone = f"{len(left_out)} runs have no partner that differs in {names} alone"
                said.append(f"{label}: {lone}.")
    if not parts:
        raise refusals[0]
    return parts, said


def _suggestions(section: Section, declared: Declaration, runs: list[Run]) -> list[str]:
    """Of a table by presets: what else the runs can be compared by, and what it leaves out."""
    said = []
    unfilled = [label for label in declared.rows if label not in section.declared.rows]
    if unfilled:
        said.append(
            f"{declared.title} has no runs of {', '.join(unfilled)} here: "
            "python -m asd.train -m +sweep=NAME trains a table, sweep=NAME shows all of its rows."
        )
    names = [name for name in varied(runs) if name != "experiment"]
    with suppress(AsdError):  # there is nothing to compare
        groups(runs, names)
        said.insert(
            0, f"These runs differ in {', '.join(names)}: python -m asd.report by={','.join(names)}"
        )
    return said
