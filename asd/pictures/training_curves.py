"""Loss and learning-rate curves, from the history files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from asd.pictures import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_DECADE = 10  # a loss that falls by more is drawn on a logarithmic axis


def curves(histories: dict[str, pd.DataFrame], title: str, path: Path) -> Path | None:
    """Losses by epoch, a panel a model (and a part of the loss), then the learning rate.

    Args:
        histories: model -> a row an epoch, of ``asd.experiment.history.read_history``.
        title, path: see ``style.panels``.

    Returns:
        The path; None if no epoch was recorded.
    """
    from matplotlib.ticker import MaxNLocator

    histories = {name: rows for name, rows in histories.items() if len(rows)}
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
            colour, _, line = style.look(number)
            epochs, rates = rows["epoch"] + 1, rows["learning_rate"]
            last.step(epochs, rates, where="mid", color=colour, ls=line, label=name)
        last.set(title="learning rate", ylim=(0, None))
        last.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        if len(histories) > 1:
            last.legend(fontsize=7.5, ncols=2)
    return path


def _parts(rows: pd.DataFrame) -> list[str]:
    """The loss, and where it has several parts these too."""
    names = [name.removeprefix("val/") for name in rows.columns if name.startswith("val/")]
    return names if {"mse", "cce"} <= set(names) else ["loss"]


def _losses(ax: Axes, rows: pd.DataFrame, part: str) -> None:
    epochs, train, validation = rows["epoch"] + 1, rows[f"train/{part}"], rows[f"val/{part}"]
    look = "o-" if len(rows) < 5 else "-"
    ax.plot(epochs, train, look, color=style.BLUE, lw=1.6, label="training")
    ax.plot(epochs, validation, f"{look}-", color=style.VERMILLION, lw=1.6, label="validation")
    best = int(rows["val/loss"].argmin())
    label = f"best: epoch {epochs.iloc[best]:.0f}"
    ax.plot(epochs.iloc[best], validation.iloc[best], "*", color="black", ms=10, label=label)
    low, high = min(train.min(), validation.min()), max(train.max(), validation.max())
    if low > 0 and high > _DECADE * low:
        ax.set_yscale("log")
    ax.legend()
