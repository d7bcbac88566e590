"""``history.csv`` of a model: losses and learning rate, a row an epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from asd.files import replacing


def read_history(path: Path) -> list[dict[str, float]]:
    """The rows written so far; none if there is no file.

    A row cut by a crash, as earlier versions could leave it, is left out.
    """
    import pandas as pd

    try:
        rows = pd.read_csv(path, float_precision="round_trip").dropna()
    except (FileNotFoundError, pd.errors.EmptyDataError):
        return []
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def write_history(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Replace all rows, whole or not at all: a kill over it must not lose what is there."""
    import pandas as pd

    with replacing(path) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)


def scoring_loss(path: Path, weights: str) -> float:
    """The validation loss of the weights that score, from a model's ``history.csv``.

    Args:
        path: the file; at least one epoch stands in it.
        weights: ``trainer.weights``: ``best`` or ``last``.
    """
    losses = [row["val/loss"] for row in read_history(path)]
    return min(losses) if weights == "best" else losses[-1]
