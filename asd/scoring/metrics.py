"""AUC and partial AUC of the clip scores: per machine ID, per machine type, over all types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from asd.options import check_number
from asd.scoring.clip_scores import check_scores
from asd.scoring.roc import area, n_thresholds, partial_area, partial_area_eq3, roc_counts

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

PAPER_ORDER = ("ToyCar", "ToyConveyor", "fan", "pump", "slider", "valve")  # of its Tables 1 and 2
ID_METRICS = ("auc", "pauc", "pauc_eq3")
COUNTS = ("n_normal", "n_anomaly", "n_unknown")
MACHINE_METRICS = (
    *ID_METRICS,  # arithmetic mean over the machine IDs of a type
    "auc_pooled",  # all clips of a type together
    "pauc_pooled",
    "auc_harmonic",  # harmonic mean over the machine IDs
    "pauc_harmonic",
)


@dataclass(frozen=True)
class Metrics:
    """All figures of one scores file, as fractions in [0, 1]; NaN is undefined, never 0 or 0.5.

    Attributes:
        max_fpr: p, the upper end of the false-positive-rate range of the partial AUC.
        per_id: a row per machine ID: machine, id, ``ID_METRICS``, ``COUNTS``.
        per_machine: a row per machine type, in the paper's order: machine, ``MACHINE_METRICS``,
            n_ids, ``COUNTS``.
        mean: ``MACHINE_METRICS`` -> arithmetic mean over the machine types where it is defined.
        undefined: every figure that is missing above, of which type and ID, with the reason.
    """

    max_fpr: float
    per_id: pd.DataFrame
    per_machine: pd.DataFrame
    mean: dict[str, float]
    undefined: tuple[str, ...]


def evaluate_scores(frame: pd.DataFrame, max_fpr: float) -> Metrics:
    """All figures of a scores frame, which ``check_scores`` checks.

    Clips of unknown label (-1) are counted and otherwise left out. A mean is over what is
    defined; what is not stands in ``undefined``. Without clips, all is.
    """
    import pandas as pd

    check_number("scoring.max_fpr", max_fpr, 0, 1, above=True)
    check_scores(frame, "scores")
    undefined: list[str] = []
    per_id: list[dict[str, Any]] = []
    per_machine: list[dict[str, Any]] = []
    for machine in machine_order(frame["machine"]):
        clips = frame[frame["machine"] == machine]
        ids = []
        for machine_id, own in clips.groupby("id"):
            values, reason = _figures(own, max_fpr)
            ids.append({"machine": machine, "id": machine_id, **values})
            undefined += [f"{machine} id_{machine_id}: {reason}"] if reason else []
        pooled, reason = _figures(clips, max_fpr)
        undefined += [f"{machine} pooled: {reason}"] if np.isnan(pooled["auc"]) else []
        row: dict[str, Any] = {"machine": machine, "n_ids": len(ids), **pooled}
        row |= {name: _mean([i[name] for i in ids]) for name in ID_METRICS}
        row |= {f"{name}_pooled": pooled[name] for name in ("auc", "pauc")}
        row |= {f"{name}_harmonic": _harmonic([i[name] for i in ids]) for name in ("auc", "pauc")}
        # That nothing is defined in the pooled clips has been said.
        means = {name: row[name] for name in MACHINE_METRICS if not name.endswith("_pooled")}
        undefined += _nothing_defined(means, machine, "machine ID")
        per_id += ids
        per_machine.append(row)
    mean = {name: _mean([row[name] for row in per_machine]) for name in MACHINE_METRICS}
    undefined += _nothing_defined(mean, "mean", "machine type")
    by_id = pd.DataFrame(per_id, columns=["machine", "id", *ID_METRICS, *COUNTS])
    by_type = pd.DataFrame(per_machine, columns=["machine", *MACHINE_METRICS, "n_ids", *COUNTS])
    return Metrics(max_fpr, by_id, by_type, mean, tuple(undefined))


def flat_metrics(metrics: Metrics) -> dict[str, float]:
    """Every defined figure under one name: `auc/mean`, `auc/fan`, `id_auc/fan/id_00` and so on."""
    by_id = metrics.per_id.to_dict("records")
    mean: dict[Any, Any] = {"machine": "mean", **metrics.mean}
    by_type = [mean, *metrics.per_machine.to_dict("records")]
    flat = {figure_name(name, m["machine"]): m[name] for name in MACHINE_METRICS for m in by_type}
    flat |= {figure_name(n, row["machine"], row["id"]): row[n] for n in ID_METRICS for row in by_id}
    return {name: float(value) for name, value in flat.items() if not np.isnan(value)}


def figure_name(metric: str, machine: str, machine_id: str = "") -> str:
    """The name of a figure of a machine type, of "mean" or of a machine ID."""
    return f"id_{metric}/{machine}/id_{machine_id}" if machine_id else f"{metric}/{machine}"


def machine_order(machines: Iterable[str]) -> list[str]:
    """The paper's machine types in its order, then any others sorted."""
    names = set(machines)
    return [m for m in PAPER_ORDER if m in names] + sorted(names - set(PAPER_ORDER))


def _figures(clips: pd.DataFrame, max_fpr: float) -> tuple[dict[str, Any], str]:
    """Figures and counts of a group of clips, and why some of its figures are not there."""
    fps, tps = roc_counts(clips["label"], clips["score"])
    normal, anomaly = int(fps[-1]), int(tps[-1])
    unknown = len(clips) - normal - anomaly
    values: dict[str, Any] = {"n_normal": normal, "n_anomaly": anomaly, "n_unknown": unknown}
    values |= {"auc": area(fps, tps), "pauc": partial_area(fps, tps, max_fpr)}
    values |= {"pauc_eq3": partial_area_eq3(fps, tps, max_fpr)}
    reason = ""
    if not normal and not anomaly:
        reason = f"no labelled clip ({unknown} of unknown label)"
    elif not normal or not anomaly:
        reason = f"no {'anomaly' if normal else 'normal'} clip"
    elif not n_thresholds(max_fpr, normal):
        reason = f"pAUC eq. (3): no threshold, floor({max_fpr:g} x {normal} normal clips) is 0"
    return values, reason


def _nothing_defined(means: dict[str, float], machine: str, part: str) -> list[str]:
    """The means without any defined part."""
    names = ", ".join(name for name, value in means.items() if np.isnan(value))
    return [f"{machine}: no {part} with a defined {names}"] if names else []


def _mean(values: list[float]) -> float:
    defined = [v for v in values if not np.isnan(v)]
    return float(np.mean(defined)) if defined else float("nan")


def _harmonic(values: list[float]) -> float:
    defined = [v for v in values if not np.isnan(v)]
    if not defined:
        return float("nan")
    return 0.0 if 0.0 in defined else len(defined) / sum(1 / v for v in defined)
