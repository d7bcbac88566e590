"""Tables of the metrics for the terminal, as Markdown and as CSV. Figures are percent."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from asd.scoring.clip_scores import replace_file
from asd.scoring.metrics import ID_METRICS, MACHINE_METRICS, Metrics

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Group
    from rich.table import Table

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
Cells = list[list[str]]  # the first row is the header


def per_machine_cells(metrics: Metrics) -> Cells:
    """Figures by machine type: a row a metric, a column a type, then the mean.

    A mean that leaves out an undefined part is marked with a star.
    """
    rows = metrics.per_machine.to_dict("records")
    table = [["", *(row["machine"] for row in rows), "mean"]]
    for name in MACHINE_METRICS:
        cells = [_percent(row[name]) + _star(metrics, name, row["machine"]) for row in rows]
        mean = _percent(metrics.mean[name])
        left_out = any(not c[-1].isdigit() for c in cells) and mean != UNDEFINED
        table.append([NAMES[name], *cells, mean + ("*" if left_out else "")])
    return table


def per_id_cells(metrics: Metrics) -> Cells:
    """Figures and clip counts by machine ID: a row an ID."""
    table = [["machine", "ID", *(NAMES[n] for n in ID_METRICS), "normal", "anomaly", "unknown"]]
    for row in metrics.per_id.to_dict("records"):
        figures = [_percent(row[name]) for name in ID_METRICS]
        counts = [str(row[name]) for name in ("n_normal", "n_anomaly", "n_unknown")]
        table.append([row["machine"], f"id_{row['id']}", *figures, *counts])
    return table


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


def terminal(metrics: Metrics, title: str, data_label: str) -> Group:
    """Both tables and the notes for rich's Console.print."""
    from rich.console import Group
    from rich.text import Text

    return Group(
        Text(title, style="bold"),
        Text(f"Data: {data_label}"),
        _rich_table(per_machine_cells(metrics), texts=1),
        _rich_table(per_id_cells(metrics), texts=2),
        Text("\n".join(notes(metrics))),
    )


def markdown(metrics: Metrics, title: str, data_label: str) -> str:
    """Both tables and the notes as a Markdown page."""
    parts = [
        f"# {_one_line(title)}",
        f"Data: {_one_line(data_label)}",
        "## Per machine type",
        _markdown_table(per_machine_cells(metrics), texts=1),
        "## Per machine ID",
        _markdown_table(per_id_cells(metrics), texts=2),
    ]
    lines = notes(metrics)
    parts += [line for line in lines if not line.startswith("- ")]
    listed = "\n".join(line for line in lines if line.startswith("- "))
    return "\n\n".join(parts + ([listed] if listed else [])) + "\n"


def per_machine_csv(metrics: Metrics, title: str, data_label: str) -> str:
    """A row a machine type, then the mean; figures in percent, undefined is an empty cell."""
    frame = metrics.per_machine.copy()
    frame.loc[len(frame)] = {
        "machine": "mean",
        **metrics.mean,
        **{n: int(frame[n].sum()) for n in ("n_ids", "n_normal", "n_anomaly", "n_unknown")},
    }
    reasons = []
    for machine in frame["machine"]:
        entries = [u for u in metrics.undefined if u.machine == machine or machine == "mean"]
        reasons.append("; ".join(map(str, entries)))
    return _csv(frame, MACHINE_METRICS, reasons, metrics.max_fpr, title, data_label)


def per_id_csv(metrics: Metrics, title: str, data_label: str) -> str:
    """A row a machine ID ("id_00", so that it stays text); percent, undefined is an empty cell."""
    frame = metrics.per_id.copy()
    reasons = []
    for machine, machine_id in zip(frame["machine"], frame["id"], strict=True):
        entries = [u for u in metrics.undefined if (u.machine, u.id) == (machine, machine_id)]
        reasons.append("; ".join(u.reason for u in entries))
    frame["id"] = "id_" + frame["id"]
    return _csv(frame, ID_METRICS, reasons, metrics.max_fpr, title, data_label)


def write_tables(folder: str | Path, metrics: Metrics, title: str, data_label: str) -> list[Path]:
    """Write per_machine.csv, per_id.csv and tables.md into a folder, made if need be.

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
    texts = {
        "per_machine.csv": per_machine_csv(metrics, title, data_label),
        "per_id.csv": per_id_csv(metrics, title, data_label),
        "tables.md": markdown(metrics, title, data_label),
    }
    for name, text in texts.items():
        replace_file(Path(folder) / name, text)
    return [Path(folder) / name for name in texts]


def _percent(value: float) -> str:
    return UNDEFINED if math.isnan(value) else f"{100 * value:.2f}"


def _star(metrics: Metrics, name: str, machine: str) -> str:
    """A star if the mean of this type leaves out an ID and yet is defined."""
    base = name.removesuffix("_harmonic")
    entries = [u for u in metrics.undefined if u.machine == machine]
    if any(u.id is None and name in u.metrics for u in entries):
        return ""
    return "*" if any(u.id is not None and base in u.metrics for u in entries) else ""


def _csv(
    frame: pd.DataFrame,
    names: tuple[str, ...],
    reasons: list[str],
    max_fpr: float,
    title: str,
    data_label: str,
) -> str:
    frame[list(names)] *= 100
    frame = frame.rename(columns={name: f"{name}_percent" for name in names})
    frame.insert(0, "data", _one_line(data_label))
    frame.insert(1, "title", _one_line(title))
    frame["max_fpr"] = str(max_fpr)
    frame["undefined"] = reasons
    return str(frame.to_csv(index=False, lineterminator="\n", float_format="%.6f"))


def _rich_table(cells: Cells, texts: int) -> Table:
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    for column, name in enumerate(cells[0]):
        table.add_column(Text(name), justify="left" if column < texts else "right")
    for row in cells[1:]:
        table.add_row(*map(Text, row))  # Text: a name with [brackets] is no markup
    return table


def _markdown_table(cells: Cells, texts: int) -> str:
    rule = ["---" if column < texts else "---:" for column in range(len(cells[0]))]
    rows = [[_one_line(c).replace("|", "\\|") for c in row] for row in cells]
    lines = [rows[0], rule, *rows[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def show(metrics, title, label):
    from rich.console import Console

    Console().print(terminal(metrics, title, label))
