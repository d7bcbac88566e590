"""Claims, such as the paper's four, each checked on the runs at hand.

A claim (``claims`` in ``sweeps/<name>.yaml``) is a set of statements "A is better than B", each
decided by the p value of the paired difference, corrected over the statements; docs/report.md has
the rule. Guards are the parts of a statement on several machine types: none may clearly go the
other way. They are corrected among themselves.
"""

from __future__ import annotations

from typing import Any

from asd.reporting.bootstrap import MEAN
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

HELD, NOT_HELD = "held", "not held"
Tests = dict[Statement, dict[Any, Any]]  # a row of ``answers`` of each


def check_claim(claim: Claim, systems: dict[str, System], metric: str) -> tuple[str, str]:
    """Check a claim on these systems.

    Args:
        claim: of the sweep.
        systems: by their labels; those that are not there, or have fewer than
            ``TRAININGS_NEEDED`` trainings, make a claim not decidable.
        metric: such as ``auc``.

    Returns:
        The verdict, and the reason in words.
    """
    statements = [s for s in claim.statements if not s.metrics or metric in s.metrics]
    tests, missing = _tests(statements, systems, metric)
    tests |= _tests([guard for s in statements for guard in s.guards], systems, metric)[0]
    decided = {
        s: figures
        for s, figures in tests.items()
        if figures["p_holm"] < 1 - systems[s.better].resampling.confidence
    }
    if against := [s for s, figures in decided.items() if figures["difference"] < 0]:
        verdict, reason = NOT_HELD, f"the opposite is shown: {_in_words(against, tests)}"
    elif missing:
        return NOT_DECIDABLE, "; ".join(dict.fromkeys(missing))
    elif undecided := [s for s in statements if s not in decided]:
        verdict, reason = NOT_DECIDABLE, f"no difference is shown: {_in_words(undecided, tests)}"
    else:
        verdict, reason = HELD, _in_words(statements, tests)
    labels = dict.fromkeys(label for s in statements for label in (s.better, s.worse))
    seeds = seeds_of(*(systems[label] for label in labels if label in systems))
    return verdict, f"{reason}. {seeds}"


def _tests(
    family: list[Statement], systems: dict[str, System], metric: str
) -> tuple[Tests, list[str]]:
    """The answer to each, corrected over all; and why others have none."""
    asked: dict[Statement, Question] = {}
    missing = []
    for s in family:
        a, b = systems.get(s.better), systems.get(s.worse)
        if not a or not b:
            absent = [label for label in (s.better, s.worse) if label not in systems]
            missing.append(f"no run of {' and none of '.join(absent)}")
        elif reason := too_few(a, b):
            missing.append(reason)
        else:
            asked[s] = Question(a, b, s.machines or shared_machines(a, b))
    rows = answers(list(asked.values()), metric).to_dict("records")
    tests = {s: row for s, row in zip(asked, rows, strict=True) if not row["reason"]}
    for row in tests.values():
        row["questions"] = len(tests)
    return tests, missing + [row["reason"] for row in rows if row["reason"]]


def _in_words(statements: list[Statement], tests: Tests) -> str:
    texts = []
    for s in statements:
        where = s.where or ", ".join(s.machines) or MEAN
        points, low, high = (100 * tests[s][f"difference{end}"] for end in ("", "_low", "_high"))
        text = f"{s.better} - {s.worse} ({where}) {points:+.2f} [{low:+.2f}, {high:+.2f}]"
        p, questions = tests[s]["p_holm"], tests[s]["questions"]
        corrected = f" (Holm's correction over {questions})" if questions > 1 else ""
        texts.append(f"{text}, p {p:.2g}{corrected}")
    return "; ".join(texts)
