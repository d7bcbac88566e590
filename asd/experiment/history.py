"""``history.csv`` of a model: losses and learning rate, a row an epoch."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from asd.files import replacing


def append_epoch(path: Path, row: Mapping[str, float]) -> None:
    """Add an epoch's row; the first one writes the header."""
    row = {**row, "epoch": int(row["epoch"])}
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


def read_history(path: Path) -> list[dict[str, float]]:
    """The rows written so far; none if there is no file. A row cut by a crash is left out."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        rows: list[dict[str, float]] = []
        for row in csv.DictReader(file):
            try:
                rows.append({name: float(value) for name, value in row.items()})
            except (TypeError, ValueError):
                continue
    return rows


def write_history(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Replace all rows, whole or not at all: a kill over it must not lose what is there."""
    with replacing(path) as temporary:
        temporary.unlink(missing_ok=True)
        for row in rows:
            append_epoch(temporary, row)
        temporary.touch()


def scoring_loss(path: Path, weights: str) -> float:
    """The validation loss of the weights that score, from a model's ``history.csv``.

    Args:
        path: the file; at least one epoch stands in it.
        weights: ``trainer.weights``: ``best`` or ``last``.
    """
    losses = [row["val/loss"] for row in read_history(path)]
    return min(losses) if weights == "best" else losses[-1]
