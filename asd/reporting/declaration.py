"""Rows, columns, published numbers and claims of a table, as ``sweeps/<name>.yaml`` says them."""

from __future__ import annotations

from collections.abc import Sequence
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
    machines: Sequence[str] = ()
    metrics: Sequence[str] = ()


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
        rows: in the table's order.
        columns: machine types; empty: those of the runs.
        published, published_std: as fractions (the file holds percent).
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
    """The declaration of a sweep; see ``load_sweep`` and ``parse``."""
    return parse(load_sweep(name), f"sweeps/{name}.yaml")


def parse(content: dict[str, Any], source: str) -> Declaration:
    """A declaration from a sweep's content; ``source`` is what messages call it.

    Raises:
        AsdError: its rows and numbers do not fit together.
    """
    columns = tuple(map(str, content.get("columns", ())))
    listed, baselines = content.get("rows", ()), tuple(map(str, content.get("baselines", ())))
    try:
        rows = {str(row["label"]): {str(k): v for k, v in row.items() if k not in _ABOUT}
                for row in listed}  # fmt: skip
        about = {str(row["label"]): {k: str(row[k]) for k in _ABOUT[1:] if k in row}
                 for row in listed}  # fmt: skip
        if len(rows) < len(listed) or not all(rows.values()):
            raise ValueError("a row's label stands twice, or without an option")
        if unknown := [label for label in baselines if label not in rows]:
            raise ValueError(f"baselines: {unknown[0]!r} is no row's label")
        published = _numbers(content, "published", rows, columns)
        std = _numbers(content, "published_std", rows, columns)
        claims = tuple(_claim(**claim) for claim in content.get("claims", ()))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise AsdError(
            f"{source}: {error}; rows need a label and options, published numbers a row and one "
            "for each column, claims a text, a source and statements of better, worse and, where "
            "they hold in part, where, machines, metrics"
        ) from error
    title = str(content.get("title", source))
    return Declaration(title, rows, columns, published, std, claims, baselines, about)


def _claim(text: str, source: str, statements: list[dict[str, Any]]) -> Claim:
    return Claim(text, source, tuple(Statement(**one) for one in statements))


def _numbers(content: dict[str, Any], key: str, rows: Rows, columns: Sequence[str]) -> Numbers:
    numbers: Numbers = {}
    for metric, table in (content.get(key) or {}).items():
        for label, values in table.items():
            if label not in rows or len(values) != len(columns):
                raise ValueError(f"{key}.{metric}.{label}: no row, or not {len(columns)} numbers")
            for machine, value in zip(columns, values, strict=True):
                numbers[metric, label, machine] = float(value) / 100
            if key == "published":  # the paper prints no means
                numbers[metric, label, MEAN] = sum(map(float, values)) / len(values) / 100
    return numbers
