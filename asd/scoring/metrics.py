"""AUC and partial AUC of the clip scores: per machine ID, per machine type, over all types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from asd.errors import AsdError
from asd.scoring.clip_scores import check_scores
from asd.scoring.roc import (
    Counts,
    area,
    check_max_fpr,
    n_thresholds,
    partial_area,
    partial_area_eq3,
    roc_counts,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

PAPER_ORDER = ("ToyCar", "ToyConveyor", "fan", "pump", "slider", "valve")  # of its Tables 1 and 2
ID_METRICS = ("auc", "pauc", "pauc_eq3")
MACHINE_METRICS = (
    *ID_METRICS,  # arithmetic mean over the machine IDs of a type
    "auc_pooled",  # all clips of a type together
    "pauc_pooled",
    "auc_harmonic",  # harmonic mean over the machine IDs
    "pauc_harmonic",
)


@dataclass(frozen=True)
class Undefined:
    """A figure that does not exist. ``where`` is "fan id_02", "fan", "fan pooled" or "mean"."""

    where: str
    machine: str | None
    id: str | None
    metrics: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


@dataclass(frozen=True)
class Metrics:
    """All figures of one scores file, as fractions in [0, 1]; NaN is undefined, never 0 or 0.5.

    Attributes:
        max_fpr: p, the upper end of the false-positive-rate range of the partial AUC.
        per_id: a row per machine ID with machine, id, ``ID_METRICS``, n_normal, n_anomaly,
            n_unknown.
        per_machine: a row per machine type, in the paper's order, with machine,
            ``MACHINE_METRICS``, n_ids, n_normal, n_anomaly, n_unknown.
        mean: ``MACHINE_METRICS`` -> arithmetic mean over the machine types where it is defined.
        undefined: every figure that is missing above, with the reason.
    """

    max_fpr: float
    per_id: pd.DataFrame
    per_machine: pd.DataFrame
    mean: dict[str, float]
    undefined: tuple[Undefined, ...]


def evaluate_scores(frame: pd.DataFrame, max_fpr: float) -> Metrics:
    """All figures of a scores frame (``asd.scoring.clip_scores``).

    Clips of unknown label (-1) are counted and otherwise left out. A mean is over what is
    defined; what is not stands in ``undefined``.

    Raises:
        AsdError: the frame is not valid, or max_fpr is out of range.
    """
    import pandas as pd

    check_max_fpr(max_fpr)
    check_scores(frame, "scores")
    labels = frame["label"].to_numpy(dtype=np.int64)
    scores = frame["score"].to_numpy(dtype=np.float64)
    groups = frame.groupby(["machine", "id"], sort=True).indices
    rows_of = cast("dict[tuple[str, str], Counts]", groups)
    ids_of: dict[str, list[str]] = {}
    for machine, machine_id in sorted(rows_of):
        ids_of.setdefault(machine, []).append(machine_id)

    undefined: list[Undefined] = []
    per_id: list[dict[str, Any]] = []
    per_machine: list[dict[str, Any]] = []
    for machine in machine_order(ids_of):
        ids = []
        for machine_id in ids_of[machine]:
            rows = rows_of[machine, machine_id]
            values, reasons = _figures(labels[rows], scores[rows], max_fpr)
            ids.append({"machine": machine, "id": machine_id, **values})
            undefined += [
                Undefined(f"{machine} id_{machine_id}", machine, machine_id, names, reason)
                for names, reason in reasons
            ]
        rows = np.concatenate([rows_of[machine, i] for i in ids_of[machine]])
        pooled, reasons = _figures(labels[rows], scores[rows], max_fpr)
        row: dict[str, Any] = {"machine": machine}
        row |= {name: _mean([i[name] for i in ids]) for name in ID_METRICS}
        row |= {f"{name}_pooled": pooled[name] for name in ("auc", "pauc")}
        row |= {f"{name}_harmonic": _harmonic([i[name] for i in ids]) for name in ("auc", "pauc")}
        row |= {"n_ids": len(ids)}
        row |= {name: pooled[name] for name in ("n_normal", "n_anomaly", "n_unknown")}
        undefined += [
            Undefined(
                f"{machine} pooled",
                machine,
                None,
                tuple(f"{name}_pooled" for name in names if name != "pauc_eq3"),
                reason,
            )
            for names, reason in reasons
            if "auc" in names
        ]
        undefined += _nothing_defined(row, machine, "machine ID")
        per_id += ids
        per_machine.append(row)

    mean = {name: _mean([row[name] for row in per_machine]) for name in MACHINE_METRICS}
    undefined += _nothing_defined(mean, None, "machine type")
    return Metrics(max_fpr, pd.DataFrame(per_id), pd.DataFrame(per_machine), mean, tuple(undefined))


def flat_metrics(metrics: Metrics) -> dict[str, float]:
    """Every defined figure under one name: `auc/mean`, `auc/fan`, `id_auc/fan/id_00` and so on.

    Raises:
        AsdError: a machine type is named "mean", which would hide the headline.
    """
    if "mean" in set(metrics.per_machine["machine"]):
        raise AsdError("a machine type is named 'mean', as the mean over types is; rename it")
    flat: dict[str, float] = {}
    for name in MACHINE_METRICS:
        flat[f"{name}/mean"] = metrics.mean[name]
        for row in metrics.per_machine.to_dict("records"):
            flat[f"{name}/{row['machine']}"] = row[name]
    for name in ID_METRICS:
        for row in metrics.per_id.to_dict("records"):
            flat[f"id_{name}/{row['machine']}/id_{row['id']}"] = row[name]
    return {name: float(value) for name, value in flat.items() if not np.isnan(value)}


def machine_order(machines: Iterable[str]) -> list[str]:
    """The paper's machine types in its order, then any others sorted."""
    names = set(machines)
    return [m for m in PAPER_ORDER if m in names] + sorted(names - set(PAPER_ORDER))


def _figures(
    labels: npt.NDArray[np.int64], scores: npt.NDArray[np.float64], max_fpr: float
) -> tuple[dict[str, Any], list[tuple[tuple[str, ...], str]]]:
    """Figures and counts of a group of clips, and (names, reason) of the figures it has not."""
    known = labels >= 0
    fps, tps = roc_counts(labels[known], scores[known])
    normal, anomaly, unknown = int(fps[-1]), int(tps[-1]), int((~known).sum())
    values = {
        "auc": area(fps, tps),
        "pauc": partial_area(fps, tps, max_fpr),
        "pauc_eq3": partial_area_eq3(fps, tps, max_fpr),
        "n_normal": normal,
        "n_anomaly": anomaly,
        "n_unknown": unknown,
    }
    if not normal and not anomaly:
        return values, [(ID_METRICS, f"no labelled clip ({unknown} of unknown label)")]
    if not anomaly:
        return values, [(ID_METRICS, "no anomaly clip")]
    if not normal:
        return values, [(ID_METRICS, "no normal clip")]
    if not n_thresholds(max_fpr, normal):
        reason = f"pAUC eq. (3): no threshold, floor({max_fpr:g} x {normal} normal clips) is 0"
        return values, [(("pauc_eq3",), reason)]
    return values, []


def _nothing_defined(row: dict[str, Any], machine: str | None, part: str) -> list[Undefined]:
    """The means without any defined part; a type's pooled figures are reported elsewhere."""
    names = tuple(
        name
        for name in MACHINE_METRICS
        if np.isnan(row[name]) and not (machine and name.endswith("_pooled"))
    )
    if not names:
        return []
    reason = f"no {part} with a defined {', '.join(names)}"
    return [Undefined(machine or "mean", machine, None, names, reason)]


def _mean(values: list[float]) -> float:
    defined = [v for v in values if not np.isnan(v)]
    return float(np.mean(defined)) if defined else float("nan")


def _harmonic(values: list[float]) -> float:
    defined = [v for v in values if not np.isnan(v)]
    if not defined:
        return float("nan")
    return 0.0 if 0.0 in defined else len(defined) / sum(1 / v for v in defined)
