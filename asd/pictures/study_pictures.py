"""What a search found, in one picture: its history, what trials told, and each option's part."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asd.pictures import style
from asd.pictures.grid_pictures import value_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def study_picture(
    values: dict[int, float],
    options: dict[str, list[Any]],
    shares: dict[str, float],
    told: dict[int, dict[int, float]],
    objective: str,
    smaller: bool,
    title: str,
    path: Path,
) -> Path:
    """History with the best so far, values by epoch, importances, and a panel an option.

    Args:
        values: a complete trial's number -> its objective.
        options: name -> a value each of these trials: numbers, or words.
        shares: name -> importance, which add to 1; empty: not known.
        told: any trial's number -> epoch, from 0 as stored -> value; drawn from 1.
        objective: its name.
        smaller: whether less is better.
        title, path: see ``style.panels``.
    """
    count = 1 + bool(told) + bool(shares) + len(options)
    left = 0.75 + 0.04 * max(map(len, options), default=0)
    with style.panels(path, count, (3.9, 2.8), title, left=left, gap=(left, 0.85)) as panels:
        axes = iter(panels)
        _history(ax := next(axes), values, smaller)
        ax.set(xlabel="trial", ylabel=objective)
        if told:
            _epochs(ax := next(axes), told)
            ax.set(xlabel="epoch (cross: ended early; figures: trials)", ylabel=objective)
        if shares:
            names = sorted(shares, key=lambda name: shares[name])
            percents = [100 * shares[name] for name in names]
            bars = (ax := next(axes)).barh(names, percents, color=style.BLUE, height=0.6)
            ax.bar_label(bars, fmt="%.0f", padding=3)
            ax.set(xlabel=f"importance for {objective}, %", xlim=(0, 112))
            ax.set_yticks(names, [name.rsplit(".", 1)[-1] for name in names])
        for name, ax in zip(options, axes, strict=True):
            numbers = {type(value) for value in options[name]} <= {int, float}
            at: list[Any] = options[name] if numbers else list(map(str, options[name]))
            look: dict[str, Any] = {"cmap": "Blues", "vmin": -len(at) / 2, "edgecolors": style.BLUE}
            ax.scatter(at, list(values.values()), c=range(len(at)), s=34, lw=0.8, **look)
            if numbers:
                value_axis(ax, at)
            ax.set(xlabel=f"{name} (darker: later)", ylabel=objective)
    return path


def _history(ax: Axes, values: dict[int, float], smaller: bool) -> None:
    best = (np.minimum if smaller else np.maximum).accumulate(list(values.values()))
    ax.scatter(list(values), list(values.values()), s=34, color=style.SKY, edgecolors=style.BLUE)
    ax.plot(list(values), best, color=style.VERMILLION, ds="steps-post", label="best so far")
    ax.locator_params("x", integer=True)
    ax.legend(loc="best")


def _epochs(ax: Axes, told: dict[int, dict[int, float]]) -> None:
    for number, by_epoch in told.items():
        colour, _, line = style.look(number)
        at, values = [epoch + 1 for epoch in by_epoch], list(by_epoch.values())
        early = "x" if len(by_epoch) < max(map(len, told.values())) else None
        ax.plot(at, values, color=colour, ls=line, lw=1.2, marker=early, markevery=[-1])
        ax.annotate(f" {number}", (at[-1], values[-1]), fontsize=7.5, color=colour, va="center")
    ax.locator_params("x", integer=True)
