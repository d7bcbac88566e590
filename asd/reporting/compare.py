"""Is system A better than system B? The same clips, resampled jointly, and several trainings."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from asd.documents.blocks import CellLines, Kind, Line, Table, plain_row
from asd.errors import AsdError
from asd.reporting.bootstrap import MEAN, TRAININGS_NEEDED, estimate, holm
from asd.reporting.systems import System
from asd.scoring.metrics import figure_name
from asd.scoring.tables import NAMES, percent

if TYPE_CHECKING:
    from asd.reporting.sections import Section

NOT_DECIDABLE = "not decidable"
_ALL_PAIRS = 4  # rows up to which each is compared with each
# A difference, by its sign: only a verdict has a colour.
_LOOKS: dict[int, tuple[Kind, str]] = {
    1: ("good", "better"), -1: ("bad", "worse"), 0: ("text", NOT_DECIDABLE)
}  # fmt: skip


class Question(NamedTuple):
    """Is A or B better on the mean over some machine types, which are called ``name``?"""

    a: System
    b: System
    machines: Sequence[str]
    name: str = MEAN


def answers(family: Sequence[Question], metric: str) -> pd.DataFrame:
    """Several questions, answered together.

    Returns:
        A row a question: metric, a, b (labels), trainings_a, trainings_b, machine (its name),
        reason why it has no answer, what ``difference`` gives, p_holm (corrected over the family),
        verdict (in words) and sign (1: A is better than B, -1: the opposite, 0: not decidable).
    """
    rows: list[dict[str, Any]] = []
    for a, b, machines, name in family:
        row: dict[str, Any] = {"metric": metric, "a": a.label, "b": b.label}
        row |= {"trainings_a": len(a.runs), "trainings_b": len(b.runs), "machine": name}
        try:
            rows.append({**row, "reason": "", **difference(a, b, metric, machines)})
        except AsdError as error:
            rows.append({**row, "reason": str(error)})
    known = [(one, row) for one, row in zip(family, rows, strict=True) if not row["reason"]]
    for ((a, b, *_), row), p in zip(known, holm([row["p"] for _, row in known]), strict=True):
        few, seeds, points = too_few(a, b), seeds_of(a, b), row["difference"]
        decided = not few and p < 1 - a.resampling.confidence
        verdict = f"{(a if points > 0 else b).label} is better ({seeds})"
        if not decided:
            verdict = f"{NOT_DECIDABLE}: {few}" if few else f"{NOT_DECIDABLE} ({seeds})"
        row |= {"p_holm": p, "verdict": verdict, "sign": decided * np.sign(points)}
    return pd.DataFrame(rows)


def compare(a: System, b: System, metric: str) -> pd.DataFrame:
    """``answers`` by machine type, then on the mean over the types that have one.

    Raises:
        AsdError: none has.
    """
    machines = dict.fromkeys([*a.machines, *b.machines])
    types = answers([Question(a, b, [machine], machine) for machine in machines], metric)
    common = types.loc[types["reason"] == "", "machine"].to_list()
    if not common:
        each = "; ".join(types["reason"])
        raise AsdError(f"{a.label} and {b.label} cannot be compared: {each}")
    return pd.concat([types, answers([Question(a, b, common)], metric)], ignore_index=True)


def compare_pairs(systems: Sequence[System], metric: str) -> pd.DataFrame:
    """``answers`` for each two systems on the mean over the machine types that both have.

    Corrected over all pairs, they hold for those too that a reader picks after seeing the figures.
    """
    pairs = itertools.combinations(systems, 2)
    return answers([Question(a, b, shared_machines(a, b)) for a, b in pairs], metric)


def shared_machines(a: System, b: System) -> list[str]:
    """The machine types of A that B has too."""
    return [machine for machine in a.machines if machine in b.machines]


def difference(a: System, b: System, metric: str, machines: Sequence[str]) -> dict[str, float]:
    """A minus B in the mean over some machine types, which both must have on the same clips.

    Returns:
        Means, and what ``estimate`` gives; resamples_a_above_b: the share of the resamples on which
        the mean of A's trainings is above that of B's, ties counted half.

    Raises:
        AsdError: a type is missing, undefined, or not on the same clips.
    """
    for machine in machines:
        for system in (a, b):
            if machine not in system.machines:
                raise AsdError(f"{machine}: {system.label} has no scores of it")
            if np.isnan(system.values(figure_name(metric, machine))).any():
                raise AsdError(f"{machine}: its {metric} is undefined")
        if a.clips[machine] != b.clips[machine]:
            raise AsdError(f"{machine}: not the same test clips")
    names = [figure_name(metric, machine) for machine in machines]
    samples = [system.sample(*names) for system in (a, b)]
    found = estimate(a.resampling, *samples)
    moved = np.subtract(*(sample.resampled.mean(axis=0) for sample in samples))
    return {
        "mean_a": float(samples[0].values.mean()),
        "mean_b": float(samples[1].values.mean()),
        **dict(zip(("difference", "difference_low", "difference_high", "p"), found, strict=True)),
        "resamples_a_above_b": float(np.mean((moved > 0) + 0.5 * (moved == 0))),
    }


def seeds_of(*systems: System) -> str:
    """Such as "3 seeds of U, 1 of B"."""
    text = ", ".join(f"{len(system.runs)} of {system.label}" for system in systems)
    return text.replace(" ", " seeds " if len(systems[0].runs) > 1 else " seed ", 1)


def too_few(*systems: System) -> str:
    """Why nothing can be said of these systems' other trainings; empty where it can."""
    if min(len(system.runs) for system in systems) >= TRAININGS_NEEDED:
        return ""
    return f"{seeds_of(*systems)}; {TRAININGS_NEEDED} of each are needed"


def comparison_table(section: Section, comparison: pd.DataFrame) -> Table:
    """What ``compare`` gives: A against B, a row a machine type."""
    metric, a, b, n_a, n_b = comparison.iloc[0][["metric", "a", "b", "trainings_a", "trainings_b"]]
    rows = []
    for row in comparison[comparison["reason"] == ""].to_dict("records"):
        points, interval = _difference(row)
        above, least = row["resamples_a_above_b"], 1 / section.resampling.resamples
        # Never 0 or 1, for which there are too few.
        share = f"<{least:g}" if above <= 0 else f">{1 - least:g}" if above >= 1 else f"{above:.3f}"
        means = plain_row(row["machine"], percent(row["mean_a"]), percent(row["mean_b"]))
        verdict = Line(row["verdict"], points.kind)
        rows.append([*means, [points], [interval], [Line(share)], [verdict]])
    notes = [
        "Clips resampled jointly within machine ID and label. The interval covers other clips and, "
        "with several trainings of each, other trainings.",
        f"{a} above {b}: the share of these resamples, for these very trainings; not a probability "
        "that another training is better.",
        "Verdicts by machine type are after Holm's correction over the types.",
    ]
    if 1 in (n_a, n_b):
        notes.append("One training: the intervals cover clips alone, for these very trainings.")
    notes += [f"Left out: {reason}." for reason in comparison["reason"] if reason]
    level = f"{section.resampling.level} interval"
    header = ["", a, b, f"{a} - {b}", level, f"{a} above {b}", "verdict"]
    title = f"{a} against {b}: {NAMES[metric]} in percent. {section.label}"
    return Table(header, rows, title, notes=notes)


def differences_table(section: Section, metric: str) -> Table:
    """Every system against the best, and those that learn nothing; against all of a few."""
    labels = list(section.systems)
    few = len(labels) <= _ALL_PAIRS
    columns = labels if few else [section.best(metric), *section.declared.baselines]
    columns = [name for name in dict.fromkeys(columns) if name in section.systems]
    rows = []
    for label in labels:
        row: list[CellLines] = [[Line(label)]]
        for other in columns:
            if found := against(section, metric, label, other):
                row.append([*_difference(found), Line(_LOOKS[found["sign"]][1], "interval")])
            else:
                row.append([Line("not comparable" * (label != other), "missing")])
        rows.append(row)
    notes = [
        f"Row minus column: paired differences of mean {NAMES[metric]}, in points, "
        f"[{section.resampling.level} interval]. Verdicts are after Holm's correction over all "
        f"{math.comb(len(labels), 2)} pairs of rows, and need {TRAININGS_NEEDED} seeds of each."
    ]
    if not few:
        notes.append("Columns: the row with the highest mean, and those that learn nothing.")
    title = f"Differences of mean {NAMES[metric]} in points. {section.label}"
    return Table(["row minus column", *columns], rows, title, notes=notes)


def against(section: Section, metric: str, a: str, b: str) -> dict[Any, Any]:
    """A minus B, of ``section.pairs``; empty where they cannot be compared."""
    pairs = "metric == @metric and reason == '' and a in [@a, @b] and b in [@a, @b]"
    for row in section.pairs.query(pairs).to_dict("records"):  # one at most
        if row["a"] == b:
            low, high = -row["difference_high"], -row["difference_low"]
            turned = {"difference": -row["difference"], "sign": -row["sign"]}
            return {**row, **turned, "difference_low": low, "difference_high": high}
        return row
    return {}


def _difference(row: dict[Any, Any]) -> CellLines:
    points, low, high = (100 * row[f"difference{end}"] for end in ("", "_low", "_high"))
    interval = Line(f"[{low:+z.1f}, {high:+z.1f}]", "interval")
    return [Line(f"{points:+z.2f}", _LOOKS[row["sign"]][0]), interval]
