"""What a search makes small or large, and what each of it is allowed to look at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asd.errors import AsdError
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
    """Refuse what is no list of objectives.

    Raises:
        AsdError: names the option and the objectives that there are.
    """
    if not isinstance(names, list) or not names:
        raise AsdError("search.objectives: must be a list, such as [validation_loss]")
    for name in names:
        check_choice("search.objectives", name, tuple(OBJECTIVES))


def selected_on(names: Sequence[str]) -> str:
    """Which clips choose by these objectives: ``validation clips`` or ``test clips``."""
    return TEST if any(OBJECTIVES[name].on_test for name in names) else VALIDATION


def directions(names: Sequence[str], given: object) -> list[str]:
    """The direction of each objective.

    Args:
        names: of the objectives.
        given: ``hydra.sweeper.direction``: one, a list, or None for those that make sense.

    Raises:
        AsdError: there are more or fewer than objectives, or one would search for the worst.
    """
    natural = [OBJECTIVES[name].direction for name in names]
    if given is None:
        return natural
    listed = [str(d).lower() for d in (given if isinstance(given, list) else [given])]
    if listed != natural:
        raise AsdError(
            f"hydra.sweeper.direction={given}: {', '.join(names)} can only be "
            f"{', '.join(natural)}; leave the option out"
        )
    return listed


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
    said = []
    care = [o for o in searched if o.split(".")[0] in ("frontend", "window", "data", "standardise")]
    if care and any(name.startswith("validation_") for name in names):
        said.append(
            f"WARNING: {', '.join(care)} changes what is reconstructed, so that validation errors "
            "compare only roughly (docs/search.md)"
        )
    if "experiment" in searched and "validation_loss" in names:
        said.append(
            "WARNING: experiments differ in their loss; validation losses of U and SS are not "
            "comparable (docs/search.md)"
        )
    if "seed" in searched:
        said.append("WARNING: seed is searched: the best of several seeds is the luckiest")
    return said


def objective_values(folder: RunFolder, names: Sequence[str]) -> list[float]:
    """The objectives of a finished run, from its files.

    Raises:
        AsdError: the run has no such quantity.
    """
    return [_value(folder, name) for name in names]


def _value(folder: RunFolder, name: str) -> float:
    if OBJECTIVES[name].on_test:
        from asd.scoring.clip_scores import read_scores
        from asd.scoring.metrics import evaluate_scores

        max_fpr = float(folder.record()["max_fpr"])
        return float(
            evaluate_scores(read_scores(folder.scores), max_fpr).mean[name.removeprefix("test_")]
        )
    models = folder.models()
    if name == "parameters":
        return float(sum(_parameters(model) for model in models))
    if name == "train_seconds":
        return float(sum(_history(model)["epoch_seconds"].sum() for model in models))
    best = _config(folder)["trainer"]["weights"] == "best"
    return math.fsum(_at_weights(model, name, best) for model in models) / len(models)


def _at_weights(model: Path, name: str, best: bool) -> float:
    """The objective at the epoch whose weights score."""
    rows = _history(model)
    column = OBJECTIVES[name].column
    if column not in rows:
        raise AsdError(f"search.objectives: {name} needs a classifier: loss=semi_supervised")
    return float(rows[column][rows["val/loss"].argmin() if best else len(rows) - 1])


def _history(model: Path) -> Any:
    import pandas as pd

    return pd.read_csv(model / "history.csv")


def _parameters(model: Path) -> int:
    from asd.models.detector import load_detector

    return sum(p.numel() for p in load_detector(model / "model.ckpt").parameters())


def _config(folder: RunFolder) -> dict[str, Any]:
    import yaml

    config: dict[str, Any] = yaml.safe_load(folder.config.read_text())
    return config
