"""Quality beside cost: what each system takes, and which no other beats."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from asd.documents.blocks import Kind, Line, Table, plain_row
from asd.reporting.bootstrap import COMPARED, MEAN
from asd.reporting.systems import System
from asd.scoring.tables import NAMES, percent

if TYPE_CHECKING:
    from asd.reporting.sections import Section

_COSTS = ("training_seconds", "parameters", "multiply_adds")
# Columns that are left out where no row has more than 0.
_OPTIONAL = ("proxy_auc", "energy_kj")
# What a column is called, and its numbers as text.
_COLUMNS: dict[str, tuple[str, Callable[[float], str]]] = {
    **{metric: (NAMES[metric], percent) for metric in COMPARED},
    "validation_loss": ("validation loss", "{:.4g}".format),
    "proxy_auc": ("proxy AUC", percent),
    "training_seconds": ("training, s", "{:.4g}".format),
    "parameters": ("parameters", "{:,.0f}".format),
    "multiply_adds": ("multiply-adds", "{:.3g}".format),
    "latency_ms": ("latency, ms", "{:.3g}".format),
    "energy_kj": ("energy, kJ", "{:.3g}".format),
}


def costs(systems: Sequence[System]) -> pd.DataFrame:
    """A row a system: means over its trainings of ``_COLUMNS``, fractions; NaN is not known.

    ``front``: none has as high an AUC at no higher cost, and is better in one. A cost that is not
    known of all counts for none.
    """
    found = pd.DataFrame(
        {
            "system": of.label,
            "n": len(of.runs),
            **{metric: of.values(f"{metric}/{MEAN}").mean() for metric in COMPARED},
            **{n: np.mean([run.numbers[n] for run in of.runs]) for n in of.runs[0].numbers},
        }
        for of in systems
    )
    points = np.column_stack([-found["auc"], found[_known(found)]])
    beats = (points[:, None] <= points).all(axis=2) & (points[:, None] < points).any(axis=2)
    return found.assign(front=~beats.any(axis=0) & ~np.isnan(points).any(axis=1))


def cost_table(section: Section) -> Table:
    """``costs``, the best of each column that may be compared marked."""
    frame, judged = section.costs, section.shares_loss
    best = {metric: frame[metric].max() for metric in COMPARED}
    best["validation_loss"] = frame["validation_loss"].min() if judged else math.nan
    absent = [name for name in _OPTIONAL if not frame[name].any()]
    columns = {name: how for name, how in _COLUMNS.items() if name not in absent}
    rows = []
    for row in frame.to_dict("records"):
        cells = plain_row(row["system"], str(row["n"]))
        for name, (_, text) in columns.items():
            kind: Kind = "best" if row[name] == best.get(name) else "value"
            cells.append([Line("-") if math.isnan(row[name]) else Line(text(row[name]), kind)])
        rows.append([*cells, [Line("front" * row["front"], "good")]])
    known = " and ".join(name.replace("_", " ") for name in _known(frame))
    notes = [
        "Means over seeds; AUC and pAUC in percent. front: no other row has an AUC as high and "
        f"{known or 'cost, which is not known,'} as low (Pareto). -: nothing trains, or not "
        "recorded.",
        "Multiply-adds: of a clip. Latency: a clip's file to its score, one at a time on one "
        "thread, on each run's machine, whatever else that did. Energy: of the GPU in training"
        f"{', which is not known here' * ('energy_kj' in absent)}.",
        "Validation loss chooses without test clips."
        if judged
        else "Validation loss: other losses, windows, front ends, clips or seeds do not compare.",
    ]
    if section.factors:
        notes.append("The best of many by AUC is chosen on test clips: its figure is too good.")
    if "proxy_auc" in columns:
        notes.append(_proxy_note(section))
    header = ["", "n", *(name for name, _ in columns.values()), "Pareto"]
    return Table(header, rows, f"Quality and cost. {section.label}", notes=notes)


def _proxy_note(section: Section) -> str:
    """What the test on simulated faults is worth here."""
    text = "Proxy AUC: simulated faults in validation clips (docs/search.md); it chooses without "
    text += "test clips and is no estimate of the AUC."
    models = [how for run in section.runs for how in run.record.get("convergence", {}).values()]
    if any(how.get("chosen_by") == "proxy AUC" for how in models):
        text += " In some rows it chose the epoch on the same clips, and is too good there."
    asked = [run.record.get("proxy", {}).get("options") for run in section.runs]
    if any(one != asked[0] for one in asked):
        return f"{text} Not all rows were tested, or not on the same faults."
    aucs = np.concatenate([system.values(f"auc/{MEAN}") for system in section.systems.values()])
    numbers = {"AUC": aucs, "it": [run.numbers["proxy_auc"] for run in section.runs]}
    if section.shares_loss:
        losses = [-run.numbers["validation_loss"] for run in section.runs]
        numbers["a low validation loss"] = losses
    table = pd.DataFrame(numbers).dropna(subset=["AUC", "it"])
    ranks = table.corr("spearman", min_periods=3)["AUC"].drop("AUC").dropna()
    told = ", ".join(f"{name} {rank:+.2f}" for name, rank in ranks.items())
    said = f" Rank correlation with the mean AUC over {len(table)} runs: {told}."
    return text + said * bool(told)


def _known(found: pd.DataFrame) -> list[str]:
    return [name for name in _COSTS if found[name].notna().all()]
