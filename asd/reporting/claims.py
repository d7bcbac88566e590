"""The paper's four claims, each checked on the runs at hand.

A claim is a set of statements "A is better than B". One is decided when the interval of the paired
difference (``asd.reporting.compare``) leaves zero on one side. The claim is

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
from asd.reporting.compare import Difference, difference
from asd.reporting.systems import System

HELD, NOT_HELD, NOT_DECIDABLE = "held", "not held", "not decidable"
TOYS = ("ToyCar", "ToyConveyor")
MIMII = ("fan", "pump", "slider", "valve")


@dataclass(frozen=True)
class Statement:
    """``better`` is above ``worse`` on the mean over ``machines``; empty: over all types.

    ``metrics``: those it is claimed in; empty: all.
    """

    better: str
    worse: str
    where: str = MEAN
    machines: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True)
class Claim:
    """What the paper says, where it says so, and the statements it comes to."""

    text: str
    source: str
    tests: tuple[Statement, ...]
    guards: tuple[Statement, ...] = ()


def _each(better: str, worse: str, machines: tuple[str, ...]) -> tuple[Statement, ...]:
    return tuple(Statement(better, worse, machine, (machine,)) for machine in machines)


_NOT_SLIDER = ("ToyCar", "ToyConveyor", "fan", "pump", "valve")

# Sections and tables are the paper's (Perez-Castanos et al., DCASE 2020 workshop).
CLAIMS = (
    Claim(
        "The more weight on the classification, the worse: U > SS-0.7 > SS-0.5 > SS-0.3 on average",
        "section 5.3, third paragraph; Table 1",
        (
            Statement("U", "SS-0.7-0.3"),
            Statement("SS-0.7-0.3", "SS-0.5-0.5"),
            Statement("SS-0.5-0.5", "SS-0.3-0.7"),
        ),
    ),
    Claim(
        "U exceeds the baseline on every machine type but slider, where the baseline has more AUC",
        "section 5.3, first and second paragraph; Table 1",
        (
            Statement("U", "B", "all but slider", _NOT_SLIDER),
            # "in the AUC metric", says section 5.3; in Table 2 U is ahead on slider too.
            Statement("B", "U", "slider", ("slider",), ("auc",)),
        ),
        _each("U", "B", _NOT_SLIDER),
    ),
    Claim(
        "The full dataset helps fan, pump, slider and valve a little: U FD > U",
        "Table 1 (0.3 to 1.1 points); section 5.3, first paragraph",
        (Statement("U FD", "U", "fan, pump, slider, valve", MIMII),),
        _each("U FD", "U", MIMII),
    ),
    Claim(
        "The full dataset hurts the toys: U > U FD on ToyCar and ToyConveyor",
        "section 5.3, first paragraph (some machines are better with the first release alone); "
        "Table 1 (3.3 to 4.6 points)",
        (Statement("U", "U FD", "ToyCar, ToyConveyor", TOYS),),
        _each("U", "U FD", TOYS),
    ),
)


@dataclass(frozen=True)
class Finding:
    """One statement on this data: the difference (better minus worse), or why there is none."""

    statement: Statement
    difference: Difference | None
    missing: str
    guard: bool

    @property
    def decided(self) -> bool | None:
        """True: it holds; False: the opposite does; None: neither is shown."""
        if self.difference is None:
            return None
        if self.difference.low > 0:
            return True
        return False if self.difference.high < 0 else None


@dataclass(frozen=True)
class Verdict:
    """What this data says of a claim."""

    claim: Claim
    verdict: str
    reason: str
    findings: tuple[Finding, ...]


def check_claims(systems: dict[str, System], metric: str) -> list[Verdict]:
    """The four claims on these systems.

    Args:
        systems: by the paper's labels; those that are not there make a claim not decidable.
        metric: such as ``auc``.
    """
    return [_check(claim, systems, metric) for claim in CLAIMS]


def _check(claim: Claim, systems: dict[str, System], metric: str) -> Verdict:
    told = [s for s in claim.tests if not s.metrics or metric in s.metrics]
    findings = [_finding(s, systems, metric, guard=False) for s in told]
    findings += [_finding(s, systems, metric, guard=True) for s in claim.guards]
    tests = [f for f in findings if not f.guard]
    against = [f for f in findings if f.decided is False]
    missing = [f.missing for f in tests if f.missing]
    if against:
        verdict, reason = NOT_HELD, "the opposite is shown: " + _say(against)
    elif missing:
        verdict, reason = NOT_DECIDABLE, "; ".join(dict.fromkeys(missing))
    elif undecided := [f for f in tests if f.decided is None]:
        verdict, reason = NOT_DECIDABLE, "the interval contains 0: " + _say(undecided)
    else:
        verdict, reason = HELD, _say(tests)
    single = [s for s in _systems(claim) if s in systems and len(systems[s].runs) == 1]
    if single and not missing:
        reason += f". One training of {', '.join(single)}: says nothing of other trainings"
    return Verdict(claim, verdict, reason, tuple(findings))


def _finding(statement: Statement, systems: dict[str, System], metric: str, guard: bool) -> Finding:
    absent = [s for s in (statement.better, statement.worse) if s not in systems]
    if absent:
        return Finding(statement, None, f"no run of {' and none of '.join(absent)}", guard)
    a, b = systems[statement.better], systems[statement.worse]
    machines = statement.machines or tuple(m for m in a.machines if m in b.machines)
    try:
        found = difference(a, b, metric, statement.where, machines)
    except AsdError as error:
        return Finding(statement, None, str(error), guard)
    return Finding(statement, found, "", guard)


def _systems(claim: Claim) -> list[str]:
    return list(dict.fromkeys(s for t in claim.tests for s in (t.better, t.worse)))


def _say(findings: list[Finding]) -> str:
    parts = []
    for finding in findings:
        s, d = finding.statement, finding.difference
        if d is not None:
            parts.append(
                f"{s.better} - {s.worse} ({s.where}) "
                f"{100 * d.value:+.2f} [{100 * d.low:+.2f}, {100 * d.high:+.2f}]"
            )
    return "; ".join(parts)
