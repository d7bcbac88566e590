"""Tables of a run's metrics for the terminal and as Markdown. Figures are percent."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from asd.documents import terminal
from asd.documents.blocks import Block, Heading, Table, Text, plain_row
from asd.errors import AsdError
from asd.scoring.clip_scores import NO_TEST_CLIPS
from asd.scoring.metrics import COUNTS, ID_METRICS, MACHINE_METRICS, Metrics

_OTHERS = ("AUC pooled", "pAUC pooled", "AUC harmonic", "pAUC harmonic")
NAMES = dict(zip(MACHINE_METRICS, ("AUC", "pAUC", "pAUC eq. (3)", *_OTHERS), strict=True))
NO_THRESHOLDS = "No thresholds: no normal clips were held out; calibration.fraction=0.3 does it."
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
    """Figures and clip counts: a row a machine ID; those ``unseen`` (fan/id_01) are marked."""
    header = ["machine", "ID", *(NAMES[n] for n in ID_METRICS), "normal", "anomaly", "unknown"]
    rows = []
    for row in metrics.per_id.to_dict("records"):
        name = f"id_{row['id']}"
        name += " (never trained)" if f"{row['machine']}/{name}" in unseen else ""
        cells = [*(percent(row[one]) for one in ID_METRICS), *(str(row[one]) for one in COUNTS)]
        rows.append(plain_row(row["machine"], name, *cells))
    return Table(header, rows, texts=2)


def decision_table(decisions: Sequence[Mapping[str, Any]]) -> Table:
    """What came of the thresholds: a row a machine ID, as ``asd.scoring.calibration.decisions``."""
    names = ("precision", "recall", "f1", "false_alarm_rate")
    rows, promises = [], dict[str, list[str]]()
    for row in decisions:
        limit = "none" if row.get("threshold") is None else f"{row['threshold']:.4g}"
        values = [math.nan if row.get(name) is None else row[name] for name in names]
        machine, own = row["machine"], f"id_{row['id']}"
        cells = limit, str(row.get("clips", "")), *map(percent, values)
        rows.append(plain_row(machine, own, *cells))
        promises.setdefault(str(row["promise"]), []).append(f"{machine}/{own}")
    header = ["machine", "ID", "threshold", "held out", "precision", "recall", "F1", "false alarms"]
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
    """What ``run.json`` says that must stand beside the figures; ``AsdError`` if it is damaged."""
    said: dict[str, Any] = {name: record.get(name) or () for name in ("unseen", "decisions")}
    said |= {name: list(map(str, record.get(name) or ())) for name in ("warnings", "commission")}
    said["convergence"] = record.get("convergence") or {}
    try:
        convergence_notes(said["convergence"])
        decision_table(said["decisions"])
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        damaged = f"damaged (convergence or decisions: {error!r})"
        raise AsdError(f"{folder / 'run.json'}: {damaged}") from error
    return said


def convergence_notes(models: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What a reader of the scores must know of the training, models not converged first.

    Of each model, by name, what ``asd.experiment.history.convergence`` says: as in ``run.json``.
    """
    groups: dict[str, list[str]] = {_NOT_CONVERGED: [], _STILL_BEST: [], "Converged": []}
    for name, told in models.items():
        best, epochs = told["best_epoch"], told["epochs"]
        verdict = _STILL_BEST if best == epochs else "Converged"
        by = " by proxy AUC" if told.get("chosen_by") == "proxy AUC" else ""
        groups[verdict if told["converged"] else _NOT_CONVERGED].append(
            f"{name}, {told['steps']} steps, epoch {told['scoring_epoch']} of {epochs} scores "
            f"(best {best}{by}), ended by {told['ended']}"
        )
    return [f"{verdict}: {'; '.join(texts)}." for verdict, texts in groups.items() if texts]


def document(metrics: Metrics, title: str, **said: Any) -> list[Block]:
    """Both tables and the notes, under what was run; no tables of no clips.

    ``said``: ``remarks``, or some of them; of each warning the first line is shown.
    """
    head = [Heading(title, 1)]
    ended = map(Text, convergence_notes(said.get("convergence", {})))
    texts = [f"Warning: {text.splitlines()[0].rstrip(':')}" for text in said.get("warnings", ())]
    promises = [Heading("Commissioning", 3), *map(Text, said.get("commission") or [NO_THRESHOLDS])]
    if not len(metrics.per_id):
        return [*head, *ended, *map(Text, [*texts, f"Undefined: {NO_TEST_CLIPS}."]), *promises]
    machines = [Heading("Per machine type", 3), machine_table(metrics), *ended]
    ids = [Heading("Per machine ID", 3), id_table(metrics, said.get("unseen", ()))]
    if said.get("decisions"):
        ids += [Heading("At the threshold", 3), decision_table(said["decisions"])]
    promises = promises if said.get("commission") else []
    return [*head, *machines, *ids, *map(Text, [*texts, *notes(metrics)]), *promises]


def show(metrics: Metrics, title: str, **said: Any) -> None:
    """Print the document; as wide as the terminal, or 120 columns where there is none."""
    terminal.show(document(metrics, title, **said), terminal.open_console())
