"""Claims, such as the paper's four, each checked on the runs at hand.

A claim (``claims`` in ``sweeps/<name>.yaml``) is a set of statements "A is better than B", each
decided by the p value of the paired difference, corrected over the statements; docs/report.md has
the rule. Guards are the parts of a statement on several machine types: none may clearly go the
other way. They are corrected among themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from asd.documents.blocks import Kind, Line, Table
from asd.reporting.bootstrap import COMPARED, MEAN
from asd.reporting.compare import (
    NOT_DECIDABLE,
    Question,
    answers,
    seeds_of,
    shared_machines,
    too_few,
)
from asd.reporting.declaration import Claim, Statement
from asd.reporting.systems import System
from asd.scoring.tables import NAMES

HELD, NOT_HELD = "held", "not held"
KINDS: dict[str, Kind] = {HELD: "good", NOT_HELD: "bad", NOT_DECIDABLE: "missing"}


def check_claim(claim: Claim, systems: dict[str, System], metric: str) -> tuple[str, str]:
    """The verdict on these systems, by their labels, and the reason in words.

    Those that are not there, or have fewer than ``TRAININGS_NEEDED`` trainings, make a claim not
    decidable.
    """
    statements = [s for s in claim.statements if not s.metrics or metric in s.metrics]
    several = [(s, machine) for s in statements for machine in s.machines if len(s.machines) > 1]
    guards = [replace(s, where="", machines=[machine]) for s, machine in several]
    found, missing = _answers(statements, systems, metric)
    all_found = [*found, *_answers(guards, systems, metric)[0]]
    if against := [row for row in all_found if row["sign"] < 0]:
        verdict, reason = NOT_HELD, f"the opposite is shown: {_in_words(against)}"
    elif missing:
        return NOT_DECIDABLE, "; ".join(dict.fromkeys(missing))
    elif undecided := [row for row in found if not row["sign"]]:
        verdict, reason = NOT_DECIDABLE, f"no difference is shown: {_in_words(undecided)}"
    else:
        verdict, reason = HELD, _in_words(found)
    labels = dict.fromkeys(label for s in statements for label in (s.better, s.worse))
    seeds = seeds_of(*(systems[label] for label in labels if label in systems))
    return verdict, f"{reason}. {seeds}"


def _answers(
    family: Sequence[Statement], systems: dict[str, System], metric: str
) -> tuple[list[dict[Any, Any]], list[str]]:
    """Rows of ``answers`` with the number of ``questions``; and why others have none."""
    asked: list[Question] = []
    missing = []
    for s in family:
        if absent := [label for label in (s.better, s.worse) if label not in systems]:
            missing.append(f"no run of {' and none of '.join(absent)}")
        elif reason := too_few(a := systems[s.better], b := systems[s.worse]):
            missing.append(reason)
        else:
            where = s.where or ", ".join(s.machines) or MEAN
            asked.append(Question(a, b, s.machines or shared_machines(a, b), where))
    rows = answers(asked, metric).to_dict("records")
    missing += [row["reason"] for row in rows if row["reason"]]
    known = [row for row in rows if not row["reason"]]
    return [{**row, "questions": len(known)} for row in known], missing


def _in_words(rows: list[dict[Any, Any]]) -> str:
    texts = []
    for row in rows:
        points, low, high = (100 * row[f"difference{end}"] for end in ("", "_low", "_high"))
        text = f"{row['a']} - {row['b']} ({row['machine']}) {points:+z.2f}"
        corrected = f" (Holm's correction over {row['questions']})" * (row["questions"] > 1)
        texts.append(f"{text} [{low:+z.2f}, {high:+z.2f}], p {row['p_holm']:.2g}{corrected}")
    return "; ".join(texts)


def claims_table(claims: Sequence[Claim], systems: dict[str, System], label: str) -> Table:
    """The paper's claims and what this data says of them."""
    rows = []
    for number, claim in enumerate(claims, start=1):
        row = [[Line(f"{number}. {claim.text}"), Line(claim.source, "interval")]]
        for metric in COMPARED:
            verdict, reason = check_claim(claim, systems, metric)
            row.append([Line(verdict.upper(), KINDS[verdict]), Line(reason, "interval")])
        rows.append(row)
    header = ["claim", *(f"by {NAMES[metric]}" for metric in COMPARED)]
    notes = ["Differences in points; see docs/report.md for the rule."]
    return Table(header, rows, f"The paper's claims, checked. {label}", 3, notes)
