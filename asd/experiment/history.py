"""``history.csv`` of a model: losses, learning rate and steps, a row an epoch; how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from asd.errors import AsdError
from asd.experiment.trainer_options import TrainerOptions
from asd.files import check_regular, replacing

# A training that goes on writes the rows of its checkpoint.
_REMEDY = "remove it, and the same command goes on or says what else to remove"


def read_history(path: Path) -> list[dict[str, float]]:
    """The rows written so far; none if there is no file.

    Raises:
        AsdError: it is damaged.
    """
    import pandas as pd

    try:
        check_regular(path)
        rows = pd.read_csv(path, float_precision="round_trip")
    except (FileNotFoundError, pd.errors.EmptyDataError):
        return []
    except (ValueError, OSError, OverflowError) as error:  # of pandas: no text, or no table
        raise AsdError(f"{path}: cannot be read ({error!s:.200}); {_REMEDY}") from error
    numbers = rows.select_dtypes("number").dropna()
    if len(rows) and not (numbers.shape == rows.shape and {"epoch", "val/loss"} <= set(rows)):
        raise AsdError(f"{path}: damaged, no table of numbers, a row an epoch; {_REMEDY}")
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def write_history(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Replace all rows, whole or not at all: a kill over it must not lose what is there."""
    import pandas as pd

    with replacing(path) as temporary:
        table = pd.DataFrame(rows).dropna(axis=1)  # without the energy, if starts did not tell it
        table.to_csv(temporary, index=False)


def judged(row: Mapping[str, float]) -> tuple[float, ...]:
    """The smaller, the better the epoch: by proxy AUC where that chooses, then validation loss."""
    by_proxy = [-row["val/proxy_auc"]] if "val/proxy_auc" in row else []
    return *by_proxy, row["val/loss"]


def convergence(path: Path, options: TrainerOptions) -> dict[str, Any]:
    """How training ended, and whether it had come to its end.

    It had if ``stop_patience`` ended it, or if the last ``late_share`` of the epochs (one at least)
    lowered the best validation loss by less than ``late_gain`` of itself.

    Args:
        path: ``history.csv`` of a training that has ended.
        options: that it was trained with.

    Returns:
        ``epochs``; ``steps`` of the optimiser; ``best_epoch``, the first of the least validation
        loss, or of the highest proxy AUC (``chosen_by`` says which), and ``scoring_epoch``, whose
        weights score, both counted from 1; ``validation_loss`` of these weights; ``ended``:
        ``max_epochs`` or ``stop_patience``; ``converged``.

    Raises:
        AsdError: it does not have every epoch from the first, with its steps.
    """
    rows = read_history(path)
    whole = [row["epoch"] for row in rows] == list(range(len(rows)))
    if not rows or not whole or "steps" not in rows[-1]:
        raise AsdError(
            f"{path}: epochs are missing, so that the model's validation loss is not known; "
            f"remove {path.parent} and the same command trains the model again"
        )
    losses = [row["val/loss"] for row in rows]
    judgements = [judged(row) for row in rows]
    epochs, best = len(losses), judgements.index(min(judgements)) + 1
    patience, watched = options.stop_patience, [one[0] for one in judgements]
    stopped = patience is not None and epochs - 1 - watched.index(min(watched)) >= patience
    earlier = losses[: -max(1, round(options.late_share * epochs))]
    settled = bool(earlier) and min(earlier) - min(losses) < options.late_gain * min(earlier)
    scoring = best if options.weights == "best" else epochs
    return {
        "epochs": epochs,
        "steps": int(rows[-1]["steps"]),
        "best_epoch": best,
        "chosen_by": "proxy AUC" if "val/proxy_auc" in rows[0] else "validation loss",
        "scoring_epoch": scoring,
        "validation_loss": losses[scoring - 1],
        "ended": "stop_patience" if stopped else "max_epochs",
        "converged": stopped or settled,
    }
