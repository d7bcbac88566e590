"""Tables of a run's metrics for the terminal, as Markdown and as CSV. Figures are percent."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from asd.documents import rendering, terminal
from asd.documents.blocks import Block, Heading, Line, Table, Text
from asd.files import write_text
from asd.scoring.metrics import ID_METRICS, MACHINE_METRICS, Metrics

if TYPE_CHECKING:
    import pandas as pd

NAMES = {
    "auc": "AUC",
    "pauc": "pAUC",
    "pauc_eq3": "pAUC eq. (3)",
    "auc_pooled": "AUC pooled",
    "pauc_pooled": "pAUC pooled",
    "auc_harmonic": "AUC harmonic",
    "pauc_harmonic": "pAUC harmonic",
}
UNDEFINED = "undefined"
_COUNTS = ("n_normal", "n_anomaly", "n_unknown")


def machine_table(metrics: Metrics) -> Table:
    """Figures by machine type: a row a metric, a column a type, then the mean.

    A mean that leaves out an undefined part is marked with a star.
    """
    machines = list(metrics.per_machine["machine"])
    rows = []
    for name in MACHINE_METRICS:
        values = metrics.per_machine[name]
        part = name.removesuffix("_harmonic")
        by_id = metrics.per_id[part if part in ID_METRICS else "n_normal"].isna()
        partly = [bool(by_id[metrics.per_id["machine"] == machine].any()) for machine in machines]
        cells = [_percent(*pair) for pair in zip(values, partly, strict=True)]
        mean = _percent(metrics.mean[name], bool(values.isna().any()) or any(partly))
        rows.append(_row([NAMES[name], *cells, mean]))
    return Table(["", *machines, "mean"], rows)


def id_table(metrics: Metrics) -> Table:
    """Figures and clip counts by machine ID: a row an ID."""
    header = ["machine", "ID", *(NAMES[n] for n in ID_METRICS), "normal", "anomaly", "unknown"]
    rows = []
    for row in metrics.per_id.to_dict("records"):
        figures = [_percent(row[name]) for name in ID_METRICS]
        counts = [str(row[name]) for name in _COUNTS]
        rows.append(_row([row["machine"], f"id_{row['id']}", *figures, *counts]))
    return Table(header, rows, texts=2)


def notes(metrics: Metrics) -> list[str]:
    """What a reader must know beside the figures, every undefined one by name among it."""
    p = f"{metrics.max_fpr:g}"
    lines = [
        "Percent. AUC and pAUC are arithmetic means over the machine IDs of a type, as in the "
        "paper; pooled: all clips of a type together; harmonic: harmonic mean over the IDs.",
        f"pAUC: false-positive rates [0, {p}], standardised after McClish, chance 50; eq. (3): "
        f"as the paper prints it, not standardised, chance about {50 * metrics.max_fpr:g}.",
    ]
    unknown = int(metrics.per_id["n_unknown"].sum())
    if unknown:
        lines.append(f"Clips of unknown label, left out: {unknown}.")
    if metrics.undefined:
        lines.append("Undefined, and left out of the means (a mean so shortened has a star):")
        lines += [f"- {entry}" for entry in metrics.undefined]
    return lines


def document(metrics: Metrics, title: str, data_label: str) -> list[Block]:
    """Both tables and the notes, under what was run on which data."""
    return [
        Heading(title, 1),
        Text(f"Data: {data_label}"),
        Heading("Per machine type", 3),
        machine_table(metrics),
        Heading("Per machine ID", 3),
        id_table(metrics),
        *map(Text, notes(metrics)),
    ]


def show(metrics: Metrics, title: str, data_label: str) -> None:
    """Print the document; as wide as the terminal, or 120 columns where there is none."""
    terminal.show(document(metrics, title, data_label), terminal.open_console())


def markdown(metrics: Metrics, title: str, data_label: str) -> str:
    """The document as a Markdown page."""
    return rendering.markdown(document(metrics, title, data_label))


def write_tables(folder: str | Path, metrics: Metrics, title: str, data_label: str) -> list[Path]:
    """Write per_machine.csv, per_id.csv and tables.md into a folder, made if need be.

    The CSVs hold percent; what is undefined is an empty cell, with the reason at the row's end.

    Args:
        folder: where to write.
        metrics: what ``evaluate_scores`` gives.
        title: what was run, e.g. "SS-0.5-0.5, seed 0".
        data_label: what the data is, e.g. "SIMULATED, demo scale"; it stands in every file.

    Returns:
        The files written.

    Raises:
        AsdError: a file cannot be written.
    """
    machines, ids = metrics.per_machine.copy(), metrics.per_id.copy()
    counts = {name: int(machines[name].sum()) for name in ("n_ids", *_COUNTS)}
    machines.loc[len(machines)] = {"machine": "mean", **metrics.mean, **counts}
    machines["undefined"] = [
        "; ".join(str(u) for u in metrics.undefined if machine in (u.machine, "mean"))
        for machine in machines["machine"]
    ]
    ids["undefined"] = [
        "; ".join(u.reason for u in metrics.undefined if (u.machine, u.id) == key)
        for key in zip(ids["machine"], ids["id"], strict=True)
    ]
    ids["id"] = "id_" + ids["id"]  # so that it stays text
    texts = {
        "per_machine.csv": _csv(machines, metrics.max_fpr, title, data_label),
        "per_id.csv": _csv(ids, metrics.max_fpr, title, data_label),
        "tables.md": markdown(metrics, title, data_label),
    }
    for name, text in texts.items():
        write_text(Path(folder) / name, text)
    return [Path(folder) / name for name in texts]


def _row(cells: list[str]) -> list[list[Line]]:
    return [[Line(cell)] for cell in cells]


def _percent(value: float, shortened: bool = False) -> str:
    return UNDEFINED if math.isnan(value) else f"{100 * value:.2f}{'*' * shortened}"


def _csv(frame: pd.DataFrame, max_fpr: float, title: str, data_label: str) -> str:
    figures = [name for name in MACHINE_METRICS if name in frame]
    frame[figures] *= 100
    frame = frame.rename(columns={name: f"{name}_percent" for name in figures})
    frame.insert(0, "data", " ".join(data_label.split()))
    frame.insert(1, "title", " ".join(title.split()))
    frame.insert(len(frame.columns) - 1, "max_fpr", str(max_fpr))
    return rendering.csv(frame)
