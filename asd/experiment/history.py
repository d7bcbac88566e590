"""``history.csv`` of a model: losses and learning rate, a row an epoch."""

from __future__ import annotations

import csv
from pathlib import Path


def append_epoch(path: Path, row: dict[str, float]) -> None:
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
