"""Pictures of a run's numbers: ROC curves, scores of normals and anomalies, losses by epoch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from asd.experiment.history import judged
from asd.pictures import style
from asd.scoring.metrics import machine_order
from asd.scoring.roc import area, partial_area, roc_counts

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

_SUMMARY = "median and middle half"
_DECADE = 10  # a loss that falls by more is drawn on a logarithmic axis
# A label's name, place beside its machine ID's tick, colour and marker.
_LABELS = {
    0: ("normal", -0.2, style.BLUE, "o"),
    1: ("anomaly", 0.2, style.VERMILLION, "^"),
    -1: ("label not known", 0.0, style.GREY, "s"),
}


def roc(scores: pd.DataFrame, max_fpr: float, title: str, path: Path) -> None:
    """ROC curves, a panel a machine type and a line a machine ID; [0, max_fpr] is shaded.

    Nothing is drawn where no machine ID has both normals and anomalies.
    """
    labelled = scores[scores["label"] >= 0].groupby(["machine", "id"])
    known = labelled.filter(lambda clips: clips["label"].nunique() == 2)
    if not len(known):
        return
    machines = machine_order(known["machine"])
    with style.panels(
        path, len(machines), (2.7, 2.7), title, gap=(0.45, 0.5), beside="true-positive rate",
        below=f"false-positive rate (shaded: up to {max_fpr:g}, the range of pAUC)",
    ) as axes:  # fmt: skip
        for ax, machine in zip(axes, machines, strict=True):
            ax.axvspan(0, max_fpr, color=style.YELLOW, alpha=0.35, lw=0, zorder=0)
            ax.axvline(max_fpr, color="#8a7d00", lw=0.8, ls=":")
            ax.plot([0, 1], [0, 1], color="#9aa3ab", lw=1)
            by_id = known[known["machine"] == machine].groupby("id", sort=True)
            for number, (machine_id, clips) in enumerate(by_id):
                fps, tps = roc_counts(clips["label"].to_numpy(), clips["score"].to_numpy())
                auc, pauc = 100 * area(fps, tps), 100 * partial_area(fps, tps, max_fpr)
                colour, _, line = style.look(number)
                ax.plot(
                    fps / fps[-1], tps / tps[-1], lw=1.7, color=colour, ls=line,
                    label=f"id_{machine_id}  {auc:.1f} / {pauc:.1f}",
                )  # fmt: skip
            ax.set(title=machine, xlim=(-0.01, 1), ylim=(0, 1.01), aspect="equal")
            ax.legend(title="AUC / pAUC, %", loc="lower right")


def distributions(scores: pd.DataFrame, title: str, path: Path) -> None:
    """The scores of normals beside those of anomalies, a panel a machine type, a pair an ID."""
    machines = machine_order(scores["machine"])
    with style.panels(
        path, len(machines), (2.9, 2.3), title, bottom=0.75, gap=(0.5, 0.5), beside="anomaly score"
    ) as axes:
        shown: dict[str, Artist] = {}
        for ax, machine in zip(axes, machines, strict=True):
            by_id = scores[scores["machine"] == machine].groupby("id", sort=True)
            for place, (_, clips) in enumerate(by_id):
                _strips(ax, clips, place)
            ax.set_xticks(range(len(by_id)), [f"id_{machine_id}" for machine_id in by_id.groups])
            ax.set(title=machine, xlim=(-0.6, len(by_id) - 0.4))
            ax.grid(visible=False, axis="x")
            handles, names = ax.get_legend_handles_labels()
            shown |= dict(zip(names, handles, strict=True))
        shown[_SUMMARY] = shown.pop(_SUMMARY)  # last
        axes[0].figure.legend(
            list(shown.values()), list(shown), loc="lower center", ncols=4, markerscale=1.8
        )


def curves(histories: dict[str, pd.DataFrame], title: str, path: Path) -> None:
    """Losses by epoch, a panel a model (and a part of the loss), then the learning rate.

    Args:
        histories: model -> a row an epoch, of ``asd.experiment.history.read_history``; where none
            has any, nothing is drawn.
    """
    histories = {name: rows for name, rows in histories.items() if len(rows)}
    if not histories:
        return
    parts = [(name, part) for name, rows in histories.items() for part in _parts(rows)]
    with style.panels(path, len(parts) + 1, (3.0, 2.2), title) as axes:
        for ax in axes:
            ax.locator_params("x", nbins=6, integer=True)
            ax.set(xlabel="epoch")
        for ax, (name, part) in zip(axes, parts, strict=False):
            _losses(ax, histories[name], part)
            ax.set_title(part if len(histories) == 1 else f"{name}: {part}")
        last = axes[-1]
        for number, (name, rows) in enumerate(histories.items()):
            colour, _, line = style.look(number)
            epochs, rates = rows["epoch"] + 1, rows["learning_rate"]
            last.step(epochs, rates, where="mid", color=colour, ls=line, label=name)
        last.set(title="learning rate", ylim=(0, None))
        last.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        if len(histories) > 1:
            last.legend(fontsize=7.5, ncols=2)


def _strips(ax: Axes, clips: pd.DataFrame, place: int) -> None:
    for label, (name, aside, colour, marker) in _LABELS.items():
        values = np.sort(clips["score"].to_numpy()[clips["label"] == label])
        if not len(values):
            continue
        centre = place + aside
        # A fixed golden-ratio sequence spreads the points and is the same every time.
        jitter = (np.arange(len(values)) * 0.618034) % 1 - 0.5
        ax.scatter(
            centre + 0.26 * jitter, values, s=9, marker=marker, color=colour, alpha=0.75,
            linewidths=0, label=name,
        )  # fmt: skip
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        ax.hlines(middle, centre - 0.17, centre + 0.17, color="black", lw=2.2)
        ax.vlines(centre, low, high, color="black", lw=1.2, label=_SUMMARY)


def _parts(rows: pd.DataFrame) -> list[str]:
    """The loss, and where it has several parts these too."""
    names = [name.removeprefix("val/") for name in rows.columns if name.startswith("val/")]
    return names if {"mse", "cce"} <= set(names) else ["loss"]


def _losses(ax: Axes, rows: pd.DataFrame, part: str) -> None:
    epochs, train, validation = rows["epoch"] + 1, rows[f"train/{part}"], rows[f"val/{part}"]
    look = "o-" if len(rows) < 5 else "-"
    ax.plot(epochs, train, look, color=style.BLUE, lw=1.6, label="training")
    ax.plot(epochs, validation, f"{look}-", color=style.VERMILLION, lw=1.6, label="validation")
    best = int(min(rows.to_dict("records"), key=judged)["epoch"])  # type: ignore[arg-type]
    label = f"best: epoch {epochs.iloc[best]:.0f}"
    ax.plot(epochs.iloc[best], validation.iloc[best], "*", color="black", ms=10, label=label)
    low, high = min(train.min(), validation.min()), max(train.max(), validation.max())
    if low > 0 and high > _DECADE * low:
        ax.set_yscale("log")
    ax.legend()
