"""Rows, columns, published numbers and claims of a table, as ``sweeps/<name>.yaml`` says them."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from asd.errors import AsdError
from asd.experiment.sweep_files import load_sweep
from asd.reporting.runs import Run

_SS = re.compile(r"SS-([0-9.]+)-[0-9.]+")
Numbers = dict[tuple[str, str, str], float]  # (metric, label, machine type) -> fraction


@dataclass(frozen=True)
class TableRow:
    """A row: its label, and the tags or options that its runs have."""

    label: str
    where: dict[str, list[str]]

    def command(self, seed: str, others: list[str]) -> str:
        """What fills the row: ``python -m asd.train ...``.

        Args:
            seed: one seed, or several joined by commas.
            others: overrides that all runs of the table share.
        """
        named = {"+experiment" if n == "experiment" else n: v[0] for n, v in self.where.items()}
        options = [f"{name}={value}" for name, value in named.items()]
        rest = [o for o in others if o.split("=", 1)[0] not in named]
        sweep = ["-m"] if "," in seed else []
        return shlex.join(["python", "-m", "asd.train", *sweep, *options, f"seed={seed}", *rest])


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
        published: as fractions (the file holds percent).
        published_std: the same for standard deviations.
        claims: of the paper.
    """

    title: str
    rows: tuple[TableRow, ...]
    columns: tuple[str, ...]
    published: Numbers
    published_std: Numbers
    claims: tuple[Claim, ...]


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
    columns = tuple(map(str, content.get("columns", ())))
    rows: dict[str, TableRow] = {}
    for row in content.get("rows", ()):
        if not isinstance(row, dict) or "label" not in row or len(row) < 2:
            raise AsdError(f"{source}: rows: {row!r} needs a label and at least one tag")
        options = {
            str(n): v if isinstance(v, list) else [v] for n, v in row.items() if n != "label"
        }
        row = TableRow(str(row["label"]), {n: [str(x) for x in v] for n, v in options.items()})
        if row.label in rows:
            raise AsdError(f"{source}: rows: the label {row.label!r} stands twice")
        rows[row.label] = row
    return Declaration(
        str(content.get("title", source)),
        tuple(rows.values()),
        columns,
        _numbers(content, "published", columns, set(rows), source),
        _numbers(content, "published_std", columns, set(rows), source),
        tuple(_claim(claim, source) for claim in content.get("claims", ())),
    )


def rows_of(runs: list[Run]) -> tuple[TableRow, ...]:
    """A row for every experiment found, for a sweep that declares none."""
    systems = {run.tags["experiment"]: run.tags["system"] for run in runs}
    labels = Counter(systems.values())
    return tuple(
        TableRow(system if labels[system] == 1 else f"{system} ({name})", {"experiment": [name]})
        for name, system in systems.items()
    )


def alpha_of(label: str) -> float | None:
    """The weight of the reconstruction in a system by its paper's name; U is alpha = 1."""
    match = _SS.fullmatch(label)
    return 1.0 if label == "U" else float(match[1]) if match else None


def _claim(content: dict[str, Any], source: str) -> Claim:
    try:
        statements = [_statement(**statement) for statement in content["statements"]]
        return Claim(str(content["text"]), str(content["source"]), tuple(statements))
    except (KeyError, TypeError, AttributeError) as error:
        raise AsdError(
            f"{source}: claims: each needs a text, a source and statements of better, worse and, "
            f"where they hold in part, where, machines, metrics ({error!r})"
        ) from error


def _statement(machines: Iterable[str] = (), metrics: Iterable[str] = (), **who: str) -> Statement:
    return Statement(**who, machines=tuple(machines), metrics=tuple(metrics))


def _numbers(
    content: dict[str, Any], key: str, columns: tuple[str, ...], labels: set[str], source: str
) -> Numbers:
    numbers: Numbers = {}
    for metric, table in (content.get(key) or {}).items():
        for label, values in table.items():
            if label not in labels:
                raise AsdError(f"{source}: {key}.{metric}: there is no row {label!r}")
            if len(values) != len(columns):
                raise AsdError(
                    f"{source}: {key}.{metric}.{label}: {len(values)} numbers for "
                    f"{len(columns)} columns"
                )
            for machine, value in zip(columns, values, strict=True):
                numbers[metric, label, machine] = float(value) / 100
    return numbers
