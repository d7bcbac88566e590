"""Claims, such as the paper's four, each checked on the runs at hand.

A claim (``claims`` in ``sweeps/<name>.yaml``) is a set of statements "A is better than B". One is
decided when the interval of the paired difference (``asd.reporting.compare``) leaves zero on one
side. The claim is

- held: every statement is decided its way, and no guard is decided the other way;
- not held: a statement or a guard is decided the other way;
- not decidable: otherwise, or when runs or machine types are missing.

Guards are the parts of a statement on several machine types: they need not be decided one by one,
but none may clearly go the other way.
"""

from __future__ import annotations

from dataclasses import dataclass

from asd.errors import AsdError
from asd.reporting.bootstrap import MEAN
from asd.reporting.compare import difference
from asd.reporting.declaration import Claim, Statement
from asd.reporting.systems import System

HELD, NOT_HELD, NOT_DECIDABLE = "held", "not held", "not decidable"


@dataclass(frozen=True)
class Finding:
    """A statement on this data: the difference, better minus worse, or why there is none."""

    statement: Statement
    figures: dict[str, float] | None
    missing: str = ""

    @property
    def decided(self) -> bool | None:
        """True: it holds; False: the opposite does; None: neither is shown."""
        d = self.figures or {"difference_low": 0.0, "difference_high": 0.0}
        return True if d["difference_low"] > 0 else False if d["difference_high"] < 0 else None

    def __str__(self) -> str:
        s, d = self.statement, {k: 100 * v for k, v in (self.figures or {}).items()}
        where = s.where or ", ".join(s.machines) or MEAN
        interval = "[{difference_low:+.2f}, {difference_high:+.2f}]".format(**d)
        return f"{s.better} - {s.worse} ({where}) {d['difference']:+.2f} {interval}"


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
    tests = [_finding(s, systems, metric) for s in statements]
    guards = [_finding(g, systems, metric) for s in statements for g in s.guards]
    missing = list(dict.fromkeys(f.missing for f in tests if f.missing))
    if against := [f for f in [*tests, *guards] if f.decided is False]:
        verdict, reason = NOT_HELD, f"the opposite is shown: {_join(against)}"
    elif missing:
        verdict, reason = NOT_DECIDABLE, "; ".join(missing)
    elif undecided := [f for f in tests if f.decided is None]:
        verdict, reason = NOT_DECIDABLE, f"the interval contains 0: {_join(undecided)}"
    else:
        verdict, reason = HELD, _join(tests)
    labels = dict.fromkeys(label for s in claim.statements for label in (s.better, s.worse))
    single = [label for label in labels if label in systems and len(systems[label].runs) == 1]
    if single and not missing:
        reason += f". One training of {', '.join(single)}: says nothing of other trainings"
    return verdict, reason


def _finding(statement: Statement, systems: dict[str, System], metric: str) -> Finding:
    absent = [s for s in (statement.better, statement.worse) if s not in systems]
    if absent:
        return Finding(statement, None, f"no run of {' and none of '.join(absent)}")
    a, b = systems[statement.better], systems[statement.worse]
    machines = list(statement.machines) or [m for m in a.machines if m in b.machines]
    try:
        return Finding(statement, difference(a, b, metric, machines))
    except AsdError as error:
        return Finding(statement, None, str(error))


def _join(findings: list[Finding]) -> str:
    return "; ".join(map(str, findings))
