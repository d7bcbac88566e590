"""Pictures of one run's scores: ROC curves, and the scores of normals against anomalies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from asd.pictures import style
from asd.scoring.metrics import machine_order
from asd.scoring.roc import auc, pauc, roc_counts

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

_MAX_STRIP = 400  # points drawn of one strip: more are a blot
_SUMMARY = "median and middle half"


@style.styled
def roc(scores: pd.DataFrame, max_fpr: float, title: str, path: Path) -> Path | None:
    """ROC curves, a panel a machine type and a line a machine ID; [0, max_fpr] is shaded.

    Args:
        scores: of ``asd.scoring.clip_scores``.
        max_fpr: upper end of the low-false-alarm range.
        title: of the picture.
        path: the PNG to write.

    Returns:
        The path; None if no machine ID has both normals and anomalies.
    """
    known = _known(scores)
    machines = machine_order(set(known["machine"]))
    if not machines:
        return None
    figure, axes = style.panels(
        *style.grid_shape(len(machines)), (2.7, 2.7), title, gap=(0.45, 0.5)
    )
    for ax, machine in zip(axes, machines, strict=False):
        ax.axvspan(0, max_fpr, color=style.YELLOW, alpha=0.35, lw=0, zorder=0)
        ax.axvline(max_fpr, color="#8a7d00", lw=0.8, ls=":")
        ax.plot([0, 1], [0, 1], color="#9aa3ab", lw=1)
        own = known[known["machine"] == machine]
        for number, (machine_id, clips) in enumerate(own.groupby("id", sort=True)):
            labels, values = clips["label"].to_numpy(), clips["score"].to_numpy()
            fps, tps = roc_counts(labels, values)
            area, low = auc(labels, values), pauc(labels, values, max_fpr)
            ax.plot(
                fps / fps[-1], tps / tps[-1], lw=1.7, color=style.CYCLE[number % 7],
                ls=style.LINES[number % 7],
                label=f"id_{machine_id}  {100 * area:.1f} / {100 * low:.1f}",
            )  # fmt: skip
        ax.set(title=machine, xlim=(-0.01, 1), ylim=(0, 1.01), aspect="equal")
        ax.legend(title="AUC / pAUC, %", loc="lower right")
    _hide(axes[len(machines) :])
    style.below(figure, f"false-positive rate (shaded: up to {max_fpr:g}, the range of pAUC)")
    style.beside(figure, "true-positive rate")
    return style.save(figure, path)


@style.styled
def distributions(scores: pd.DataFrame, title: str, path: Path) -> Path | None:
    """The scores of normals beside those of anomalies, a panel a machine type, a pair an ID.

    Args:
        scores: of ``asd.scoring.clip_scores``.
        title: of the picture.
        path: the PNG to write.

    Returns:
        The path; None if there is no clip.
    """
    machines = machine_order(set(scores["machine"]))
    if not machines:
        return None
    figure, axes = style.panels(
        *style.grid_shape(len(machines)), (2.9, 2.3), title, bottom=0.75, gap=(0.5, 0.5)
    )
    for ax, machine in zip(axes, machines, strict=False):
        own = scores[scores["machine"] == machine]
        ids = sorted(own["id"].unique())
        for place, machine_id in enumerate(ids):
            _strips(ax, own[own["id"] == machine_id], place)
        ax.set_xticks(range(len(ids)), [f"id_{i}" for i in ids])
        ax.set(title=machine, xlim=(-0.6, len(ids) - 0.4))
        ax.grid(visible=False, axis="x")
    _hide(axes[len(machines) :])
    shown: dict[str, Artist] = {}
    for ax in axes:
        handles, names = ax.get_legend_handles_labels()
        shown |= dict(zip(names, handles, strict=True))
    shown[_SUMMARY] = shown.pop(_SUMMARY)  # last
    figure.legend(list(shown.values()), list(shown), loc="lower center", ncols=4, markerscale=1.8)
    style.beside(figure, "anomaly score")
    return style.save(figure, path)


def _strips(ax: Axes, clips: pd.DataFrame, place: int) -> None:
    for label, (name, colour, marker) in style.OF_LABEL.items():
        values = np.sort(clips.loc[clips["label"] == label, "score"].to_numpy())
        if not len(values):
            continue
        shift = {0: -0.2, 1: 0.2, -1: 0.0}[label]
        few = values[np.linspace(0, len(values) - 1, min(len(values), _MAX_STRIP)).astype(int)]
        # A fixed golden-ratio sequence spreads the points and is the same every time.
        jitter = (np.arange(len(few)) * 0.618034) % 1 - 0.5
        ax.scatter(
            place + shift + 0.26 * jitter, few, s=9, marker=marker, color=colour, alpha=0.75,
            linewidths=0, label=name,
        )  # fmt: skip
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        ax.hlines(middle, place + shift - 0.17, place + shift + 0.17, color="black", lw=2.2)
        ax.vlines(place + shift, low, high, color="black", lw=1.2, label=_SUMMARY)


def _known(scores: pd.DataFrame) -> pd.DataFrame:
    """The clips of the machine IDs that have normals and anomalies."""
    labelled = scores[scores["label"] >= 0]
    both = labelled.groupby(["machine", "id"])["label"].transform("nunique") == 2
    return labelled[both.to_numpy(dtype=bool)]


def _hide(axes: list[Axes]) -> None:
    for ax in axes:
        ax.set_visible(False)
