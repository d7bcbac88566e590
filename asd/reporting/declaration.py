"""Rows, columns and published numbers of a table, as ``sweeps/<name>.yaml`` says them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Any

from asd.errors import AsdError
from asd.experiment.sweep_files import load_sweep
from asd.reporting.runs import Run

_SS = re.compile(r"SS-([0-9.]+)-[0-9.]+")


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
        own = []
        for name, values in self.where.items():
            own.append(f"{'+experiment' if name == 'experiment' else name}={values[0]}")
        named = {o.split("=", 1)[0] for o in own}
        rest = [o for o in others if o.split("=", 1)[0] not in named]
        sweep = ["-m"] if "," in seed else []
        return shlex.join(["python", "-m", "asd.train", *sweep, *own, f"seed={seed}", *rest])


@dataclass(frozen=True)
class Declaration:
    """A sweep's table.

    Args:
        title: of the sweep.
        rows: in the table's order.
        columns: machine types; empty: those found.
        published: metric -> label -> machine -> fraction (the file holds percent).
        published_std: the same for standard deviations.
    """

    title: str
    rows: tuple[TableRow, ...]
    columns: tuple[str, ...]
    published: dict[str, dict[str, dict[str, float]]]
    published_std: dict[str, dict[str, dict[str, float]]]


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
    rows = []
    for row in content.get("rows", ()):
        if not isinstance(row, dict) or "label" not in row or len(row) < 2:
            raise AsdError(f"{source}: rows: {row!r} needs a label and at least one tag")
        where = {
            str(name): [str(v) for v in (value if isinstance(value, list) else [value])]
            for name, value in row.items()
            if name != "label"
        }
        rows.append(TableRow(str(row["label"]), where))
    labels = [row.label for row in rows]
    if len(set(labels)) < len(labels):
        raise AsdError(f"{source}: rows: a label stands twice")
    return Declaration(
        str(content.get("title", source)),
        tuple(rows),
        columns,
        _numbers(content, "published", columns, labels, source),
        _numbers(content, "published_std", columns, labels, source),
    )


def rows_of(runs: list[Run]) -> tuple[TableRow, ...]:
    """A row for every experiment found, for a sweep that declares none."""
    systems = {run.experiment: run.system for run in runs}
    return tuple(TableRow(system, {"experiment": [name]}) for name, system in systems.items())


def alpha_of(label: str) -> float | None:
    """The weight of the reconstruction in a system by its paper's name; U is alpha = 1."""
    if label == "U":
        return 1.0
    found = _SS.fullmatch(label)
    return float(found[1]) if found else None


def _numbers(
    content: dict[str, Any], key: str, columns: tuple[str, ...], labels: list[str], source: str
) -> dict[str, dict[str, dict[str, float]]]:
    result: dict[str, dict[str, dict[str, float]]] = {}
    for metric, table in (content.get(key) or {}).items():
        result[metric] = {}
        for label, values in table.items():
            if label not in labels:
                raise AsdError(f"{source}: {key}.{metric}: there is no row {label!r}")
            if len(values) != len(columns):
                raise AsdError(
                    f"{source}: {key}.{metric}.{label}: {len(values)} numbers for "
                    f"{len(columns)} columns"
                )
            result[metric][label] = {
                machine: float(value) / 100 for machine, value in zip(columns, values, strict=True)
            }
    return result
