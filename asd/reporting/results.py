"""The results of a table's systems as one tidy table, from which grids, CSV and pictures come."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from asd.documents.rendering import csv
from asd.reporting.bootstrap import COMPARED, MEAN, Sample, estimate
from asd.reporting.declaration import Declaration
from asd.reporting.systems import System
from asd.scoring.metrics import MACHINE_METRICS, figure_name, machine_order

_COLUMNS = (
    "metric", "system", "machine", "id", "n", "seeds", "mean", "std", "low", "high", "values",
    "published", "published_std", "difference", "fill_command",
)  # fmt: skip
# Fractions, and what they are called as percent.
_IN_PERCENT = {
    **{name: f"{name}_percent" for name in ("mean", "std", "low", "high", "values", *COMPARED)},
    "published": "published_real_data_percent", "published_std": "published_std_percent",
    "mean_a": "a_percent", "mean_b": "b_percent", "difference": "difference_points",
    "difference_low": "low_points", "difference_high": "high_points",
}  # fmt: skip


def results(
    declared: Declaration, rows: list[System], comparable: bool, usual_fpr: bool
) -> pd.DataFrame:
    """Every figure of every row, some of which may have no runs.

    Args:
        declared: columns and published numbers.
        rows: of the table.
        comparable: whether the published numbers may stand beside the figures.
        usual_fpr: whether the partial AUC has the p of the published numbers.

    Returns:
        A row a metric, system and machine type (those of the runs, then "mean"; ``id`` is empty),
        and a row a machine ID below: ``_COLUMNS``. n: trainings in which it is defined; mean and
        std (n - 1) over them; low and high of AUC and pAUC alone; values: each training's; a
        published mean only over the same types. Fractions; NaN is missing, undefined or unknown.
    """
    machines = {machine for row in rows for machine in row.machines}
    same_types = machines == set(declared.columns)
    columns = [machine for machine in declared.columns if machine in machines]
    columns += machine_order(machines - set(columns))
    figures = []
    for metric in MACHINE_METRICS:
        known = usual_fpr or not metric.startswith("pauc")
        for row in rows:
            cells = [(machine, "") for machine in (*columns, MEAN)]
            cells += row.ids if metric in COMPARED else []
            for machine, machine_id in cells:
                figure = _figures(row, metric, machine, machine_id)
                if known and not machine_id and (machine != MEAN or same_types):
                    key = (metric, row.label, machine)
                    figure["published"] = declared.published.get(key, np.nan)
                    figure["published_std"] = declared.published_std.get(key, np.nan)
                about = {"system": row.label, "fill_command": row.command or None}
                figures.append({**figure, **about})
    frame = pd.DataFrame(figures, columns=list(_COLUMNS))
    frame["difference"] = frame["mean"] - frame["published"] if comparable else np.nan
    return frame


def spreadsheet(frame: pd.DataFrame) -> str:
    """Results or comparisons as CSV, fractions as percent.

    An empty cell is missing or undefined; a difference is there only where the published number is
    of the same clips.
    """
    figures = [name for name in frame if name in _IN_PERCENT]
    frame = frame.assign(**{str(name): 100 * frame[name] for name in figures})
    if "values" in frame:
        texts = [["" if np.isnan(x) else f"{x:.6f}" for x in v] for v in frame["values"]]
        frame["values"] = [" ".join(text) for text in texts]
    return csv(frame.rename(columns=_IN_PERCENT))


def _figures(system: System, metric: str, machine: str, machine_id: str = "") -> dict[str, Any]:
    where = {"metric": metric, "machine": machine, "id": f"id_{machine_id}" if machine_id else ""}
    if not system.runs:
        return {**where, "n": 0, "seeds": "", "values": np.array([])}
    name = figure_name(metric, machine, machine_id)
    values = system.values(name)
    defined = values[~np.isnan(values)]
    found = estimate(system.resampling, Sample(values, system.resampled(name)))
    return {
        **where,
        "n": len(defined),
        "seeds": " ".join(map(str, system.seeds)),
        "mean": defined.mean() if len(defined) else np.nan,
        "std": defined.std(ddof=1) if len(defined) > 1 else np.nan,
        "low": found.low,
        "high": found.high,
        "values": values,
    }
