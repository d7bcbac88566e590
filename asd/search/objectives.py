"""What a search makes small or large, and what each of it is allowed to look at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from asd.errors import AsdError
from asd.experiment.history import read_history
from asd.options import check_choice

if TYPE_CHECKING:
    from asd.experiment.run_folder import RunFolder

MINIMIZE, MAXIMIZE = "minimize", "maximize"
VALIDATION, TEST = "validation clips", "test clips"


@dataclass(frozen=True)
class Objective:
    """One quantity of a finished run.

    Args:
        direction: which way is better.
        column: of ``history.csv``, where it is known epoch by epoch.
        on_test: whether it looks at test clips.
    """

    direction: str
    column: str | None = None
    on_test: bool = False


OBJECTIVES = {
    "validation_loss": Objective(MINIMIZE, "val/loss"),
    "validation_mse": Objective(MINIMIZE, "val/mse"),
    "validation_cce": Objective(MINIMIZE, "val/cce"),
    "parameters": Objective(MINIMIZE),
    "train_seconds": Objective(MINIMIZE),
    "test_auc": Objective(MAXIMIZE, on_test=True),
    "test_pauc": Objective(MAXIMIZE, on_test=True),
}


def check_objectives(names: object) -> None:
    """Refuse a ``search.objectives`` that is no list of known names.

    Raises:
        AsdError: names the option and the objectives there are.
    """
    if not isinstance(names, list) or not names:
        raise AsdError("search.objectives: must be a list, such as [validation_loss]")
    for name in names:
        check_choice("search.objectives", name, tuple(OBJECTIVES))


def selected_on(names: Sequence[str]) -> str:
    """Which clips choose by these objectives: ``validation clips`` or ``test clips``."""
    return TEST if any(OBJECTIVES[name].on_test for name in names) else VALIDATION


def check_comparable(names: Sequence[str], searched: Sequence[str]) -> list[str]:
    """Refuse to compare what cannot be compared.

    Args:
        names: of the objectives.
        searched: options that vary.

    Returns:
        Warnings for what can be compared only with care.

    Raises:
        AsdError: the loss itself would vary, and be its own judge.
    """
    searched = [option.lstrip("+") for option in searched]
    loss = [o for o in searched if o == "loss" or o.startswith("loss.")]
    if loss and "validation_loss" in names:
        raise AsdError(
            f"search.objectives={list(names)}: the validation loss is another quantity for each "
            f"{loss[0]}; choose search.objectives=[validation_mse], or both of its parts: "
            "[validation_mse,validation_cce]"
        )
    warnings = []
    care = [o for o in searched if o.split(".")[0] in ("frontend", "window", "data", "standardise")]
    if care and any(name.startswith("validation_") for name in names):
        warnings.append(
            f"WARNING: {', '.join(care)} changes what is reconstructed, so that validation errors "
            "compare only roughly (docs/search.md)"
        )
    if "experiment" in searched and "validation_loss" in names:
        warnings.append(
            "WARNING: experiments differ in their loss; validation losses of U and SS are not "
            "comparable (docs/search.md)"
        )
    if "seed" in searched:
        warnings.append("WARNING: seed is searched: the best of several seeds is the luckiest")
    return warnings


def objective_values(folder: RunFolder, names: Sequence[str]) -> list[float]:
    """The objectives of a finished run, from its files.

    Raises:
        AsdError: the run has no such quantity.
    """
    if selected_on(names) == VALIDATION:
        return [_of_training(folder, name) for name in names]
    from asd.scoring.clip_scores import read_scores
    from asd.scoring.metrics import evaluate_scores

    scores = read_scores(folder.scores)
    tested = evaluate_scores(scores, float(folder.record()["max_fpr"])).mean
    return [
        float(tested[name.removeprefix("test_")])
        if OBJECTIVES[name].on_test
        else _of_training(folder, name)
        for name in names
    ]


def _of_training(folder: RunFolder, name: str) -> float:
    models = folder.models()
    if name == "parameters":
        return float(sum(_parameters(model) for model in models))
    histories = [read_history(model / "history.csv") for model in models]
    if name == "train_seconds":
        return math.fsum(row["epoch_seconds"] for rows in histories for row in rows)
    best = yaml.safe_load(folder.config.read_text())["trainer"]["weights"] == "best"
    return math.fsum(_at_weights(rows, name, best) for rows in histories) / len(models)


def _at_weights(rows: list[dict[str, float]], name: str, best: bool) -> float:
    """The objective at the epoch whose weights score."""
    column = OBJECTIVES[name].column
    if column not in rows[-1]:
        raise AsdError(f"search.objectives: {name} needs a classifier: loss=semi_supervised")
    losses = [math.inf if math.isnan(row["val/loss"]) else row["val/loss"] for row in rows]
    return rows[losses.index(min(losses)) if best else -1][column]


def _parameters(model: Path) -> int:
    from asd.models.detector import load_detector

    return sum(p.numel() for p in load_detector(model / "model.ckpt").parameters())
