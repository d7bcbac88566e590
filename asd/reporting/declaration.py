"""Rows, columns, published numbers and claims of a table, as ``sweeps/<name>.yaml`` says them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from asd.errors import AsdError
from asd.experiment.sweep_files import load_sweep
from asd.reporting.bootstrap import MEAN

Numbers = dict[tuple[str, str, str], float]  # (metric, label, machine type or "mean") -> fraction
Rows = dict[str, dict[str, Any]]  # label -> what is typed for it: experiment and other options
_ABOUT = ("label", "family", "source")  # what of a row is not typed


@dataclass(frozen=True)
class Statement:
    """``better`` is above ``worse`` on the mean over ``machines``; empty: over all types.

    ``where``: what these machine types are called; ``metrics``: those it is claimed in; empty: all.
    """

    better: str
    worse: str
    where: str = ""
    machines: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()

    @property
    def guards(self) -> list[Statement]:
        """The same of each of several machine types alone."""
        several = self.machines if len(self.machines) > 1 else ()
        return [Statement(self.better, self.worse, machines=(m,)) for m in several]


@dataclass(frozen=True)
class Claim:
    """What a paper says, where it says so, and the statements it comes to."""

    text: str
    source: str
    statements: tuple[Statement, ...]


@dataclass(frozen=True)
class Declaration:
    """A sweep's table.

    Args:
        title: of the sweep.
        rows: in the table's order.
        columns: machine types; empty: those of the runs.
        published, published_std: as fractions (the file holds percent).
        claims: of the paper.
        baselines: labels of rows that learn nothing; every other row is compared with each.
        about: label -> its ``family``, what kind of system it is, and ``source``: whose the
            published figures are, and what was chosen on test clips for them.
    """

    title: str
    rows: Rows
    columns: tuple[str, ...]
    published: Numbers
    published_std: Numbers
    claims: tuple[Claim, ...]
    baselines: tuple[str, ...]
    about: dict[str, dict[str, str]]


def declaration(name: str) -> Declaration:
    """The declaration of a sweep.

    Raises:
        AsdError: there is none of this name, or its rows and numbers do not fit together.
    """
    return parse(load_sweep(name), f"sweeps/{name}.yaml")


def parse(content: dict[str, Any], source: str) -> Declaration:
    """A declaration from a sweep's content; ``source`` is what messages call it.

    Raises:
        AsdError: its rows and numbers do not fit together.
    """
    rows: Rows = {}
    about: dict[str, dict[str, str]] = {}
    for row in content.get("rows", ()):
        if not isinstance(row, dict) or "label" not in row or not set(row).difference(_ABOUT):
            raise AsdError(f"{source}: rows: {row!r} needs a label and at least one option")
        label = str(row["label"])
        if label in rows:
            raise AsdError(f"{source}: rows: the label {label!r} stands twice")
        rows[label] = {str(name): value for name, value in row.items() if name not in _ABOUT}
        about[label] = {name: str(row[name]) for name in _ABOUT[1:] if name in row}
    baselines = tuple(map(str, content.get("baselines", ())))
    if unknown := [label for label in baselines if label not in rows]:
        raise AsdError(f"{source}: baselines: {unknown[0]!r} is no row's label")
    return Declaration(
        str(content.get("title", source)),
        rows,
        tuple(map(str, content.get("columns", ()))),
        _numbers(content, "published", rows, source),
        _numbers(content, "published_std", rows, source),
        tuple(_claim(claim, source) for claim in content.get("claims", ())),
        baselines,
        about,
    )


def _claim(content: dict[str, Any], source: str) -> Claim:
    try:
        statements = []
        for one in content["statements"]:
            parts = {name: tuple(one.get(name, ())) for name in ("machines", "metrics")}
            statements.append(Statement(**{**one, **parts}))
        return Claim(str(content["text"]), str(content["source"]), tuple(statements))
    except (KeyError, TypeError, AttributeError) as error:
        raise AsdError(
            f"{source}: claims: each needs a text, a source and statements of better, worse and, "
            f"where they hold in part, where, machines, metrics ({error!r})"
        ) from error


def _numbers(content: dict[str, Any], key: str, rows: Rows, source: str) -> Numbers:
    columns = list(map(str, content.get("columns", ())))
    numbers: Numbers = {}
    for metric, table in (content.get(key) or {}).items():
        for label, values in table.items():
            if label not in rows or len(values) != len(columns):
                raise AsdError(
                    f"{source}: {key}.{metric}.{label}: needs a row of this label, and a number "
                    f"for each of the {len(columns)} columns"
                )
            for machine, value in zip(columns, values, strict=True):
                numbers[metric, label, machine] = float(value) / 100
            if key == "published":  # the paper prints no means
                numbers[metric, label, MEAN] = sum(map(float, values)) / len(values) / 100
    return numbers
