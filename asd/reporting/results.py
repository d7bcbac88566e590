"""The results of a table's systems as one tidy table, from which grids, CSV and pictures come."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from asd.documents.rendering import csv
from asd.reporting.bootstrap import MEAN
from asd.reporting.declaration import Declaration
from asd.reporting.intervals import Sample, estimate
from asd.reporting.systems import System
from asd.scoring.metrics import MACHINE_METRICS, figure_name, machine_order

COMPARED = ("auc", "pauc")  # metrics of comparisons, claims and machine IDs
_COLUMNS = (
    "metric", "system", "machine", "id", "n", "seeds", "mean", "std", "low", "high", "values",
    "published", "published_std", "difference", "fill_command",
)  # fmt: skip
# Fractions, and what they are called as percent.
_IN_PERCENT = {
    **{name: f"{name}_percent" for name in ("mean", "std", "low", "high", "values")},
    "published": "published_real_data_percent", "published_std": "published_std_percent",
    "mean_a": "a_percent", "mean_b": "b_percent", "difference": "difference_points",
    "difference_low": "low_points", "difference_high": "high_points",
}  # fmt: skip


def results(
    declared: Declaration, commands: dict[str, str], systems: dict[str, System], comparable: bool
) -> pd.DataFrame:
    """Every figure of every row.

    Args:
        declared: columns and published numbers.
        commands: label of each row -> what trains the seeds that it lacks; empty: none.
        systems: those that there are, by label.
        comparable: whether the runs were scored on the published numbers' clips.

    Returns:
        A row a metric, system and machine type (those declared, others, then "mean"; ``id`` is
        empty), and a row a machine ID below: metric, system, machine, id, n (trainings in which it
        is defined), seeds (of the trainings, as text), mean and std (n - 1) over them, low and high
        (``asd.reporting.intervals``), values (each training's), published, published_std,
        difference (to the published, where comparable), fill_command. Fractions; NaN is missing,
        undefined or not known.
    """
    machines = {machine for system in systems.values() for machine in system.machines}
    columns = [*declared.columns, *machine_order(machines - set(declared.columns))]
    figures = []
    for metric in MACHINE_METRICS:
        for label, command in commands.items():
            system = systems.get(label)
            cells = [_figures(system, metric, machine) for machine in columns]
            for cell in cells:
                key = (metric, label, cell["machine"])
                cell["published"] = declared.published.get(key, np.nan)
                cell["published_std"] = declared.published_std.get(key, np.nan)
            # The mean beside ours is over the same machine types; all of them while we have none.
            same = [c["published"] for c in cells if c["n"]]
            same = same or [c["published"] for c in cells if not np.isnan(c["published"])]
            mean = sum(same) / len(same) if same else np.nan
            cells.append({**_figures(system, metric, MEAN), "published": mean})
            if system and metric in COMPARED:
                cells += [_figures(system, metric, *pair) for pair in system.ids]
            figures += [{**c, "system": label, "fill_command": command or None} for c in cells]
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


def _figures(
    system: System | None, metric: str, machine: str, machine_id: str = ""
) -> dict[str, Any]:
    where = {"metric": metric, "machine": machine, "id": f"id_{machine_id}" if machine_id else ""}
    if system is None:
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
