"""Which sections a report has: the paper's table, settings of options, or trials of a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

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
    said, parts, refusals = [], [], []
    trials: dict[str, list[Run]] = {}
    for run in runs:
        if run.is_trial:
            trials.setdefault(run.tags["study"], []).append(run)
    if others := [run for run in runs if not run.is_trial]:
        for study, of in trials.items():
            said.append(
                f"{len(of)} trials of {study} have no row here: python -m asd.report study={study}"
            )
    how: dict[str, Any] = {"resampling": resampling, "max_fpr": max_fpr}
    for study, chosen in {"": others}.items() if others else trials.items():
        for label, of in corpora(chosen).items():
            factors = list(by) or (varied(of) if study else [])
            if not factors:
                parts.append(Section(label, of, declared, whole=whole, **how))
                said += _suggestions(parts[-1], declared, of)
                continue
            try:
                found, left_out = groups(of, factors)
            except AsdError as error:
                refusals.append(error)
                said.append(f"{label}: {error}.")
                continue
            title = f"Search {study}" if study else f"By {', '.join(factors)}"
            bare = replace(declared, title=title, rows={}, published={}, claims=(), baselines=())
            for rest, own in found.items():
                where = ", ".join(filter(None, [label, rest]))
                parts.append(Section(where, own, bare, factors=factors, **how))
            if left_out:
                said.append(
                    f"{label}: {len(left_out)} runs have no partner that differs in "
                    f"{', '.join(factors)} alone."
                )
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
    if names := [name for name in varied(runs) if name != "experiment"]:
        try:
            groups(runs, names)
        except AsdError:
            return said
        what = ",".join(names)
        said.insert(0, f"These runs also differ in {', '.join(names)}; a table of its settings: "
                    f"python -m asd.report by={what}")  # fmt: skip
    return said
