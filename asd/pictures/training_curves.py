"""Loss and learning-rate curves, from the history files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from asd.pictures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DECADE = 10  # a loss that falls by more is drawn on a logarithmic axis
_Rows = list[dict[str, float]]


def curves(histories: dict[str, _Rows], title: str, path: Path) -> Path | None:
    """Losses by epoch, a panel a model (and a part of the loss), then the learning rate.

    Args:
        histories: model -> rows of ``asd.experiment.history.read_history``.
        title, path: see ``style.panels``.

    Returns:
        The path; None if no epoch was recorded.
    """
    from matplotlib.ticker import MaxNLocator

    histories = {name: rows for name, rows in histories.items() if rows}
    if not histories:
        return None
    parts = [(name, part) for name, rows in histories.items() for part in _parts(rows)]
    with style.panels(path, len(parts) + 1, (3.0, 2.2), title) as axes:
        for ax in axes:
            ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            ax.set(xlabel="epoch")
        for ax, (name, part) in zip(axes, parts, strict=False):
            _losses(ax, histories[name], part)
            ax.set_title(part if len(histories) == 1 else f"{name}: {part}")
        last = axes[-1]
        for number, (name, rows) in enumerate(histories.items()):
            epochs, rates = zip(
                *[(row["epoch"] + 1, row["learning_rate"]) for row in rows], strict=True
            )
            colour, _, line = style.look(number)
            last.step(epochs, rates, where="mid", color=colour, ls=line, label=name)
        last.set(title="learning rate", ylim=(0, None))
        last.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        if len(histories) > 1:
            last.legend(fontsize=7.5, ncols=2)
    return path


def _parts(rows: _Rows) -> list[str]:
    """The loss, and where it has several parts these too."""
    names = [name.removeprefix("val/") for name in rows[0] if name.startswith("val/")]
    return names if "cce" in names else ["loss"]


def _losses(ax: Axes, rows: _Rows, part: str) -> None:
    epochs = [int(row["epoch"]) + 1 for row in rows]
    train, validation = ([row[f"{split}/{part}"] for row in rows] for split in ("train", "val"))
    look = "o-" if len(rows) < 5 else "-"
    ax.plot(epochs, train, look, color=style.BLUE, lw=1.6, label="training")
    ax.plot(epochs, validation, f"{look}-", color=style.VERMILLION, lw=1.6, label="validation")
    best = min(range(len(rows)), key=lambda at: rows[at]["val/loss"])
    label = f"best: epoch {epochs[best]}"
    ax.plot(epochs[best], validation[best], "*", color="black", ms=10, label=label)
    low, high = min(train + validation), max(train + validation)
    if low > 0 and high > _DECADE * low:
        ax.set_yscale("log")
    ax.legend()
