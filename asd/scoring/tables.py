"""Tables of a run's metrics for the terminal, as Markdown and as CSV. Figures are percent."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asd.documents import rendering, terminal
from asd.documents.blocks import Block, Heading, Table, Text, plain_row
from asd.errors import AsdError
from asd.files import write_text
from asd.scoring.metrics import COUNTS, ID_METRICS, MACHINE_METRICS, Metrics

if TYPE_CHECKING:
    import pandas as pd

_ARITHMETIC = ("AUC", "pAUC", "pAUC eq. (3)")
_OTHERS = ("AUC pooled", "pAUC pooled", "AUC harmonic", "pAUC harmonic")
NAMES = dict(zip(MACHINE_METRICS, (*_ARITHMETIC, *_OTHERS), strict=True))


NEVER_TRAINED = "never trained"
_NOT_CONVERGED = "NOT CONVERGED (raise trainer.max_epochs)"
_STILL_BEST = "Converged within trainer.late_gain, although the best epoch is the last"


def percent(value: float, shortened: bool = False) -> str:
    """A fraction as percent with two digits, and a star where it leaves a part out."""
    return "undefined" if math.isnan(value) else f"{100 * value:.2f}{'*' * shortened}"


def machine_table(metrics: Metrics) -> Table:
    """Figures by machine type: a row a metric, a column a type, then the mean.

    A mean that leaves out an undefined part is marked with a star.
    """
    figures = metrics.per_machine.set_index("machine")
    lacking = metrics.per_id.set_index("machine")[list(ID_METRICS)].isna().groupby(level=0).any()
    rows = []
    for name in MACHINE_METRICS:
        part = name.removesuffix("_harmonic")  # pooled clips leave out no machine ID
        partly = [part in lacking and bool(lacking[part][machine]) for machine in figures.index]
        cells = [percent(*pair) for pair in zip(figures[name], partly, strict=True)]
        mean = percent(metrics.mean[name], bool(figures[name].isna().any()) or any(partly))
        rows.append(plain_row(NAMES[name], *cells, mean))
    return Table(["", *figures.index, "mean"], rows)


def id_table(metrics: Metrics, unseen: Collection[str] = ()) -> Table:
    """Figures and clip counts by machine ID: a row an ID.

    Args:
        metrics: what ``evaluate_scores`` gives.
        unseen: IDs of which no clip was trained on, as ``fan/id_01``; they are marked.
    """
    header = ["machine", "ID", *(NAMES[n] for n in ID_METRICS), "normal", "anomaly", "unknown"]
    rows = []
    for row in metrics.per_id.to_dict("records"):
        figures = [percent(row[name]) for name in ID_METRICS]
        counts = [str(row[name]) for name in COUNTS]
        name = f"id_{row['id']}"
        name += f" ({NEVER_TRAINED})" if f"{row['machine']}/{name}" in unseen else ""
        rows.append(plain_row(row["machine"], name, *figures, *counts))
    return Table(header, rows, texts=2)


def decision_table(decisions: Sequence[Mapping[str, Any]]) -> Table:
    """What came of the thresholds: a row a machine ID, as ``asd.scoring.calibration.decisions``."""
    names = ("precision", "recall", "f1", "false_alarm_rate")
    rows = []
    for row in decisions:
        limit = "none" if row.get("threshold") is None else f"{row['threshold']:.4g}"
        values = [math.nan if row.get(name) is None else row[name] for name in names]
        cells = [limit, str(row.get("clips", "")), *map(percent, values)]
        rows.append(plain_row(row["machine"], f"id_{row['id']}", *cells))
    header = ["machine", "ID", "threshold", "held out", "precision", "recall", "F1", "false alarms"]
    promises: dict[str, list[str]] = {}
    for row in decisions:
        promises.setdefault(str(row["promise"]), []).append(f"{row['machine']}/id_{row['id']}")
    said = [f"{', '.join(ids)}: {promise}." for promise, ids in promises.items()]
    return Table(header, rows, texts=2, notes=said)


def notes(metrics: Metrics) -> list[str]:
    """What a reader must know beside the figures, every undefined one by name among it."""
    p = metrics.max_fpr
    lines = [
        "Percent. AUC and pAUC are arithmetic means over the machine IDs of a type, as in the "
        "paper; pooled: all clips of a type together; harmonic: harmonic mean over the IDs.",
        f"pAUC: false-positive rates [0, {p:g}], standardised after McClish, chance 50; eq. (3): "
        f"as the paper prints it, not standardised, chance about {50 * p:g}.",
    ]
    if unknown := int(metrics.per_id["n_unknown"].sum()):
        lines.append(f"Clips of unknown label, left out: {unknown}.")
    if metrics.undefined:
        lines.append("Undefined, and left out of the means (a mean so shortened has a star):")
    return [*lines, *(f"- {entry}" for entry in metrics.undefined)]


def remarks(record: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """What the ``run.json`` of a run's folder says that must stand beside its figures.

    Raises:
        AsdError: it is damaged.
    """
    warnings, models = record.get("warnings") or (), record.get("convergence") or {}
    decisions = record.get("decisions") or ()
    try:
        convergence_notes(models)
        decision_table(decisions)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        damaged = f"damaged (convergence or decisions: {error!r})"
        raise AsdError(f"{folder / 'run.json'}: {damaged}") from error
    said = {"unseen": record.get("unseen") or (), "warnings": list(map(str, warnings))}
    return {**said, "convergence": models, "decisions": decisions}


def convergence_notes(models: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What a reader of the scores must know of the training, models not converged first.

    Args:
        models: by name, what ``asd.experiment.history.convergence`` says: as in ``run.json``.
    """
    groups: dict[str, list[str]] = {_NOT_CONVERGED: [], _STILL_BEST: [], "Converged": []}
    for name, told in models.items():
        best, epochs = told["best_epoch"], told["epochs"]
        verdict = _STILL_BEST if best == epochs else "Converged"
        groups[verdict if told["converged"] else _NOT_CONVERGED].append(
            f"{name}, {told['steps']} steps, epoch {told['scoring_epoch']} of {epochs} scores "
            f"(best {best}), ended by {told['ended']}"
        )
    return [f"{verdict}: {'; '.join(texts)}." for verdict, texts in groups.items() if texts]


def document(
    metrics: Metrics,
    title: str,
    data_label: str,
    unseen: Collection[str] = (),
    warnings: Sequence[str] = (),
    convergence: Mapping[str, Mapping[str, Any]] | None = None,
    decisions: Sequence[Mapping[str, Any]] = (),
) -> list[Block]:
    """Both tables and the notes, under what was run on which data.

    Args:
        metrics: what ``evaluate_scores`` gives.
        title: what was run.
        data_label: what the data is.
        unseen: as ``id_table``.
        warnings: what was said of the data; of each the first line is shown.
        convergence: as ``convergence_notes``; what they say stands below the first table.
        decisions: as ``decision_table``, which is shown where there are any.
    """
    head = [Heading(title, 1), Text(f"Data: {data_label}")]
    ended = map(Text, convergence_notes(convergence or {}))
    machines = [Heading("Per machine type", 3), machine_table(metrics), *ended]
    ids = [Heading("Per machine ID", 3), id_table(metrics, unseen)]
    if decisions:
        ids += [Heading("At the threshold", 3), decision_table(decisions)]
    said = [f"Warning: {warning.splitlines()[0].rstrip(':')}" for warning in warnings]
    return [*head, *machines, *ids, *map(Text, [*said, *notes(metrics)])]


def show(metrics: Metrics, title: str, data_label: str, **more: Any) -> None:
    """Print the document; as wide as the terminal, or 120 columns where there is none."""
    terminal.show(document(metrics, title, data_label, **more), terminal.open_console())


def markdown(metrics: Metrics, title: str, data_label: str, **more: Any) -> str:
    """The document as a Markdown page."""
    return rendering.markdown(document(metrics, title, data_label, **more))


def write_tables(
    folder: str | Path, metrics: Metrics, title: str, data_label: str, **more: Any
) -> list[Path]:
    """Write per_machine.csv, per_id.csv and tables.md into a folder, made if need be.

    The CSVs hold percent; what is undefined is an empty cell, with the reason at the row's end.

    Args:
        folder: where to write.
        metrics: what ``evaluate_scores`` gives.
        title: what was run, e.g. "SS-0.5-0.5, seed 0".
        data_label: what the data is, e.g. "SIMULATED, demo scale"; it stands in every file.
        more: what else ``document`` takes.

    Returns:
        The files written.

    Raises:
        AsdError: a file cannot be written.
    """
    machines, ids = metrics.per_machine.copy(), metrics.per_id.copy()
    counts = {name: int(machines[name].sum()) for name in ("n_ids", *COUNTS)}
    machines.loc[len(machines)] = {"machine": "mean", **metrics.mean, **counts}
    ids["id"] = "id_" + ids["id"]  # so that it stays text
    unseen = (ids["machine"] + "/" + ids["id"]).isin(list(more.get("unseen", ())))
    ids["remark"] = unseen.map({True: NEVER_TRAINED, False: ""})
    texts = {
        "per_machine.csv": _csv(machines, metrics, title, data_label),
        "per_id.csv": _csv(ids, metrics, title, data_label),
        "tables.md": markdown(metrics, title, data_label, **more),
    }
    for name, text in texts.items():
        write_text(Path(folder) / name, text)
    return [Path(folder) / name for name in texts]


def _csv(frame: pd.DataFrame, metrics: Metrics, title: str, data_label: str) -> str:
    figures = [name for name in MACHINE_METRICS if name in frame]
    frame[figures] *= 100
    frame["max_fpr"] = str(metrics.max_fpr)
    frame["undefined"] = [_reasons(row, metrics) for row in frame.to_dict("records")]
    frame.insert(0, "data", " ".join(data_label.split()))
    frame.insert(1, "title", " ".join(title.split()))
    return rendering.csv(frame.rename(columns={name: f"{name}_percent" for name in figures}))


def _reasons(row: dict[Any, Any], metrics: Metrics) -> str:
    """Why figures of a machine type, a machine ID or the mean are missing."""
    own = [u for u in metrics.undefined if row["machine"] in (u.machine, "mean")]
    if "id" in row:
        return "; ".join(u.reason for u in own if u.part == row["id"])
    return "; ".join(map(str, own))
