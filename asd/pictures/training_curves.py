"""Loss and learning-rate curves, from the history files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from asd.pictures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DECADE = 10  # a loss that falls by more is drawn on a logarithmic axis
Rows = list[dict[str, float]]
_TRAIN, _VAL = (style.BLUE, "-", "training"), (style.VERMILLION, "--", "validation")


@style.styled
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
    figure, axes = style.panels(*shape, (3.0, 2.2), title)
    for ax, (name, part) in zip(axes, shown, strict=False):
        _losses(ax, histories[name], part)
        ax.set_title(part if len(histories) == 1 else f"{name}: {part}")
    last = axes[len(shown)]
    for number, (name, rows) in enumerate(histories.items()):
        last.step(
            [row["epoch"] + 1 for row in rows], [row["learning_rate"] for row in rows],
            where="mid", color=style.CYCLE[number % 7], ls=style.LINES[number % 7], label=name,
        )  # fmt: skip
    last.set(title="learning rate", xlabel="epoch", ylim=(0, None))
    last.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    _whole_epochs(last)
    if len(histories) > 1:
        last.legend(fontsize=7.5, ncols=2)
    for ax in axes[len(shown) + 1 :]:
        ax.set_visible(False)
    return style.save(figure, path)


def read_curves(path: Path) -> Rows:
    """The rows of a history.csv; none if there is no file. A row cut by a crash is left out.

    As ``asd.training.history`` reads it, without loading torch.
    """
    import pandas as pd

    if not path.exists() or not path.stat().st_size:
        return []
    table = pd.read_csv(path, on_bad_lines="skip")
    table = table.apply(pd.to_numeric, errors="coerce").dropna()
    return [{str(k): float(v) for k, v in row.items()} for row in table.to_dict("records")]


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
    if min(everything) > 0 and max(everything) > _DECADE * min(everything):
        ax.set_yscale("log")
        _plain_decades(ax)
    ax.set(xlabel="epoch")
    _whole_epochs(ax)
    ax.legend()


def _whole_epochs(ax: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def _plain_decades(ax: Axes) -> None:
    """0.2 rather than 2 x 10^-1."""
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    bottom, top = ax.get_ylim()
    steps = (1, 2, 5) if top / bottom < _DECADE**3 else (1,)
    ax.yaxis.set_major_locator(LogLocator(subs=steps))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
