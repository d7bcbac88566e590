"""Loss and learning-rate curves, from the history files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from asd.pictures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Rows = list[dict[str, float]]
_TRAIN, _VAL = (style.BLUE, "-", "training"), (style.VERMILLION, "--", "validation")


def curves(histories: dict[str, Rows], title: str, path: Path) -> Path | None:
    """Losses by epoch, a panel a model (and a part of the loss), then the learning rate.

    Args:
        histories: model -> rows of its history.csv.
        title: of the picture.
        path: the PNG to write.

    Returns:
        The path; None if no epoch was recorded.
    """
    histories = {name: rows for name, rows in histories.items() if rows}
    if not histories:
        return None
    shown = [(name, part) for name, rows in histories.items() for part in _parts(rows)]
    shape = style.grid_shape(len(shown) + 1)
    figure, axes = style.panels(*shape, (3.7, 2.8), title)
    for ax, (name, part) in zip(axes, shown, strict=False):
        _losses(ax, histories[name], part)
        ax.set_title(part if len(histories) == 1 else f"{name}: {part}")
    last = axes[len(shown)]
    for number, (name, rows) in enumerate(histories.items()):
        last.step(
            [row["epoch"] + 1 for row in rows], [row["learning_rate"] for row in rows],
            where="mid", color=style.CYCLE[number % 7], ls=style.LINES[number % 7], label=name,
        )  # fmt: skip
    last.set(title="learning rate", xlabel="epoch", yscale="log")
    if len(histories) > 1:
        last.legend(fontsize=7.5, ncols=2)
    for ax in axes[len(shown) + 1 :]:
        ax.set_visible(False)
    return style.save(figure, path)


def _parts(rows: Rows) -> list[str]:
    """The loss, and where it has several parts these too."""
    names = [name.removeprefix("val/") for name in rows[0] if name.startswith("val/")]
    return names if "cce" in names else ["loss"]


def _losses(ax: Axes, rows: Rows, part: str) -> None:
    epochs = [int(row["epoch"]) + 1 for row in rows]
    for split, (colour, line, name) in (("train", _TRAIN), ("val", _VAL)):
        values = [row[f"{split}/{part}"] for row in rows]
        mark = style.MARKERS[0] if len(rows) < 5 else None
        ax.plot(epochs, values, color=colour, ls=line, lw=1.6, label=name, marker=mark)
    losses = [row["val/loss"] for row in rows]
    best = losses.index(min(losses))
    value = rows[best][f"val/{part}"]
    ax.plot(epochs[best], value, "*", color="black", ms=10, label=f"best: epoch {epochs[best]}")
    everything = [row[f"{split}/{part}"] for row in rows for split in ("train", "val")]
    if min(everything) > 0:
        ax.set_yscale("log")
    ax.set(xlabel="epoch")
    ax.legend()
