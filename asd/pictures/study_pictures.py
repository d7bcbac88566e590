"""Pictures of a search: its history, its trials epoch by epoch, and which options matter."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from asd.pictures import style


def history(
    values: dict[int, float], objective: str, title: str, path: Path, smaller: bool
) -> Path:
    """Each complete trial's objective, and the best so far.

    Args:
        values: trial's number -> objective.
        objective: its name.
        title, path: see ``style.panels``.
        smaller: whether less is better.
    """
    from matplotlib.ticker import MaxNLocator

    numbers = sorted(values)
    told = [values[number] for number in numbers]
    best = (np.minimum if smaller else np.maximum).accumulate(told)
    with style.panels(path, 1, (6.6, 3.2), title) as (ax,):
        ax.scatter(numbers, told, s=34, color=style.SKY, edgecolors=style.BLUE, label="trials")
        ax.plot(numbers, best, color=style.VERMILLION, drawstyle="steps-post", label="best so far")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set(xlabel="trial", ylabel=objective)
        ax.legend(loc="best")
    return path


def epochs(trials: dict[int, dict[int, float]], objective: str, title: str, path: Path) -> Path:
    """What trials told, a line each; a cross where one ended earlier than the longest.

    Args:
        trials: trial's number -> epoch, from 0 as stored -> value; drawn from 1.
        objective: its name.
        title, path: see ``style.panels``.
    """
    from matplotlib.ticker import MaxNLocator

    longest = max(map(len, trials.values()))
    with style.panels(path, 1, (6.6, 3.4), title) as (ax,):
        for number, told in trials.items():
            colour, marker, line = style.look(number)
            at, values = [epoch + 1 for epoch in told], list(told.values())
            only = marker if longest == 1 else None
            ax.plot(at, values, color=colour, ls=line, lw=1.3, alpha=0.8, marker=only)
            ax.annotate(
                str(number), (at[-1], values[-1]), (5, -3), textcoords="offset points",
                fontsize=7.5, color=colour,
            )  # fmt: skip
            if len(told) < longest:
                ax.plot(at[-1], values[-1], marker="x", color=colour)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set(xlabel="epoch (at the end: the trial; cross: ended early)", ylabel=objective)
    return path


def importances(shares: dict[str, float], objective: str, title: str, path: Path) -> Path:
    """A bar an option, the most important on top.

    Args:
        shares: which add to 1.
        objective: its name.
        title, path: see ``style.panels``.
    """
    names = sorted(shares, key=lambda name: shares[name])
    size, left = (4.6, 0.35 + 0.36 * len(names)), 0.5 + 0.085 * max(map(len, names))
    with style.panels(path, 1, size, title, left=left) as (ax,):
        bars = ax.barh(names, [100 * shares[name] for name in names], color=style.BLUE, height=0.6)
        ax.bar_label(bars, fmt="%.0f", padding=3)
        ax.set(xlabel=f"importance for {objective}, % (PED-ANOVA)", xlim=(0, 112))
    return path
