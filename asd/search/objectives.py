"""What a search makes small or large, and what each of it is allowed to look at."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from asd.errors import AsdError
from asd.experiment.history import read_history
from asd.options import check_choice
from asd.scoring.clip_scores import NO_TEST_CLIPS

if TYPE_CHECKING:
    from asd.experiment.run_folder import RunFolder
    from asd.scoring.metrics import Metrics

VALIDATION, TEST = "validation clips", "test clips"
#: Known epoch by epoch: columns of ``history.csv``.
COLUMNS = {
    "validation_loss": "val/loss",
    "validation_mse": "val/mse",
    "validation_cce": "val/cce",
}
ON_TEST = ("test_auc", "test_pauc")
#: The larger, the better; all others are made small.
LARGE = ("proxy_auc", *ON_TEST)
OBJECTIVES = (*COLUMNS, "parameters", "train_seconds", *LARGE)

_ROUGHLY = "it changes what is reconstructed, so that validation errors compare only roughly"
# Config groups, and why to compare their options with care.
_CARE = {
    **dict.fromkeys(("frontend", "window", "data", "standardise"), _ROUGHLY),
    "experiment": "validation losses of U and SS are not comparable",
    "seed": "the best of several seeds is the luckiest",
}


def check_objectives(names: object) -> None:
    """Refuse a ``search.objectives`` that is no list of known names."""
    if not isinstance(names, list) or not names:
        raise AsdError("search.objectives: must be a list, such as [validation_loss]")
    for name in names:
        check_choice("search.objectives", name, OBJECTIVES)


def selected_on(names: Sequence[str]) -> str:
    """Which clips choose by these objectives: ``validation clips`` or ``test clips``."""
    return TEST if set(names) & set(ON_TEST) else VALIDATION


def check_comparable(names: Sequence[str], searched: Sequence[str]) -> list[str]:
    """Refuse a search in which the loss, or the proxy test, varies, and is its own judge.

    Gives warnings: of a choice by test clips, and of what can be compared only with care.
    """
    searched = [option.lstrip("+") for option in searched]
    if proxy := [option for option in searched if option.split(".")[0] == "proxy"]:
        raise AsdError(f"{proxy[0]} is searched: it changes the test that judges, not what is run")
    loss = [option for option in searched if option.split(".")[0] == "loss"]
    if loss and "validation_loss" in names:
        raise AsdError(
            f"search.objectives={list(names)}: the validation loss is another quantity for each "
            f"{loss[0]}; choose search.objectives=[validation_mse], or both of its parts: "
            "[validation_mse,validation_cce]"
        )
    warnings = []
    if selected_on(names) == TEST:
        warnings.append(
            f"*** SELECTED ON TEST CLIPS ({', '.join(names)}): the best trial's test figures are "
            "too good; they are no estimate of how it does on new recordings ***"
        )
    judged = any(name in COLUMNS for name in names)
    for option in searched:
        group = option.split(".")[0]
        if group in _CARE and (judged or group == "seed"):
            warnings.append(f"WARNING: {option} is searched: {_CARE[group]} (docs/search.md)")
    return warnings


def objective_values(folder: RunFolder, metrics: Metrics, config: Mapping[str, Any]) -> list[float]:
    """``search.objectives`` of a finished run; of training, where there was none, not a number.

    Raises:
        AsdError: the run has no such quantity.
    """
    asked: list[str] = config["search"]["objectives"]
    if not len(metrics.per_id) and selected_on(asked) == TEST:
        raise AsdError(f"search.objectives={asked}: {NO_TEST_CLIPS}")
    return [_value(folder, metrics, name) for name in asked]


def _value(folder: RunFolder, metrics: Metrics, name: str) -> float:
    if name in ON_TEST:
        return float(metrics.mean[name.removeprefix("test_")])
    record = folder.record()
    if name == "proxy_auc":  # of asd.training.proxy_listener
        return float(record["proxy"]["auc"])
    if name == "parameters":
        return float(sum(record["parameters"].values()))
    histories = {m.name: read_history(m / "history.csv") for m in folder.models()}
    if name == "train_seconds":
        return math.fsum(row["epoch_seconds"] for rows in histories.values() for row in rows)
    # At the epochs whose weights score.
    ended = {model: told["scoring_epoch"] for model, told in record["convergence"].items()}
    rows = [histories[model][epoch - 1] for model, epoch in ended.items()]
    if any(COLUMNS[name] not in row for row in rows):
        raise AsdError(f"search.objectives: {name} needs a classifier: loss=semi_supervised")
    return math.fsum(row[COLUMNS[name]] for row in rows) / len(rows) if rows else math.nan
