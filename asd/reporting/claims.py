"""Claims, such as the paper's four, each checked on the runs at hand.

A claim (``claims`` in ``sweeps/<name>.yaml``) is a set of statements "A is better than B", each
decided when the interval of the paired difference leaves zero; docs/report.md has the rule. Guards
are the parts of a statement on several machine types: none may clearly go the other way.
"""

from __future__ import annotations

from asd.errors import AsdError
from asd.reporting.bootstrap import MEAN
from asd.reporting.compare import difference
from asd.reporting.declaration import Claim, Statement
from asd.reporting.systems import System

HELD, NOT_HELD, NOT_DECIDABLE = "held", "not held", "not decidable"


def check_claim(claim: Claim, systems: dict[str, System], metric: str) -> tuple[str, str]:
    """Check a claim on these systems.

    Args:
        claim: of the sweep.
        systems: by their labels; those that are not there make a claim not decidable.
        metric: such as ``auc``.

    Returns:
        The verdict, and the reason in words.
    """
    statements = [s for s in claim.statements if not s.metrics or metric in s.metrics]
    every = [*statements, *(guard for s in statements for guard in s.guards)]
    tests: dict[Statement, dict[str, float]] = {}
    missing: list[str] = []
    for statement in every:
        try:
            tests[statement] = _difference(statement, systems, metric)
        except AsdError as error:
            missing += [str(error)] if statement in statements else []
    if against := [s for s, figures in tests.items() if figures["difference_high"] < 0]:
        verdict, reason = NOT_HELD, f"the opposite is shown: {_in_words(against, tests)}"
    elif missing:
        return NOT_DECIDABLE, "; ".join(dict.fromkeys(missing))
    elif undecided := [s for s in statements if tests[s]["difference_low"] <= 0]:
        verdict, reason = NOT_DECIDABLE, f"the interval contains 0: {_in_words(undecided, tests)}"
    else:
        verdict, reason = HELD, _in_words(statements, tests)
    labels = dict.fromkeys(label for s in claim.statements for label in (s.better, s.worse))
    single = [label for label in labels if label in systems and len(systems[label].runs) == 1]
    if single and not missing:
        reason += f". One training of {', '.join(single)}: says nothing of other trainings"
    return verdict, reason


def _difference(statement: Statement, systems: dict[str, System], metric: str) -> dict[str, float]:
    """Better minus worse; AsdError: why there is none."""
    if absent := [s for s in (statement.better, statement.worse) if s not in systems]:
        raise AsdError(f"no run of {' and none of '.join(absent)}")
    a, b = systems[statement.better], systems[statement.worse]
    machines = list(statement.machines) or [m for m in a.machines if m in b.machines]
    return difference(a, b, metric, machines)


def _in_words(statements: list[Statement], tests: dict[Statement, dict[str, float]]) -> str:
    texts = []
    for s in statements:
        where = s.where or ", ".join(s.machines) or MEAN
        points, low, high = (100 * tests[s][f"difference{end}"] for end in ("", "_low", "_high"))
        texts.append(f"{s.better} - {s.worse} ({where}) {points:+.2f} [{low:+.2f}, {high:+.2f}]")
    return "; ".join(texts)
