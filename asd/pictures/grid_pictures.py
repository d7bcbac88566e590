"""Pictures of many runs: side by side, figures against options and cost, and a search's trials."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asd.pictures import style

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from matplotlib.axes import Axes

_TICKS = 8  # as many values of an option, evenly apart, have a tick each


def overview(figures: pd.DataFrame, metric: str, title: str, path: Path) -> None:
    """A panel a machine type, a line a system: mean, interval, single trainings.

    Args:
        figures: a row a machine type and system: machine, system, mean, low, high, values (of the
            single trainings), published; fractions, NaN is not there. At least one.
    """
    machines = {str(name): of for name, of in figures.groupby("machine", sort=False)}
    columns = 4 if len(machines) > 6 else min(3, len(machines))
    most = max(map(len, machines.values()))
    with style.panels(
        path, len(machines), (2.3, 0.35 + 0.27 * most), title, columns=columns,
        left=0.4 + 0.085 * figures["system"].map(len).max(), bottom=0.7, gap=(0.25, 0.55),
        below=f"{metric}, %   (line: the table's interval; crosses: single trainings)",
    ) as axes:  # fmt: skip
        for ax in axes[1:]:
            ax.sharex(axes[0])
        for number, (ax, (name, systems)) in enumerate(zip(axes, machines.items(), strict=True)):
            _lines(ax, systems.to_dict("records"))
            ax.tick_params(labelleft=number % columns == 0)
            ax.axvline(50, color="#9aa3ab", lw=1)
            ax.set(title=name)
        handles, labels = axes[0].get_legend_handles_labels()
        if handles:
            axes[0].figure.legend(handles[:1], labels[:1], loc="lower right")


def option_curves(metrics: dict[str, pd.DataFrame], option: str, title: str, path: Path) -> None:
    """A numeric option against a figure: means with a band, and single trainings.

    Args:
        metrics: panel's name -> a row a value of the option: value, and as ``overview``.
    """
    with style.panels(path, len(metrics), (4.3, 3.1), title, columns=len(metrics)) as axes:
        for ax, (name, points) in zip(axes, metrics.items(), strict=True):
            points = points.sort_values("value")
            at = points["value"].to_numpy()
            low, high = 100 * points["low"], 100 * points["high"]
            ax.fill_between(at, low, high, color=style.BLUE, alpha=0.15, lw=0,
                            label="the table's interval")  # fmt: skip
            ax.plot(at, 100 * points["mean"], color=style.BLUE, marker="o", ms=7, lw=1.8,
                    label="mean")  # fmt: skip
            for value, values in zip(at, points["values"], strict=True):
                if len(values) > 1:
                    ax.scatter([value] * len(values), 100 * values, s=22, c="black", marker="x",
                               zorder=4)  # fmt: skip
            ax.axhline(50, color="#9aa3ab", lw=1)
            value_axis(ax, list(at))
            ax.set(title=name, xlabel=option, ylabel="%")
            ax.legend(loc="best")


def heat_maps(
    metrics: dict[str, pd.DataFrame], options: Sequence[str], title: str, path: Path
) -> None:
    """Two options against a figure, a cell a combination; one may be not run.

    ``metrics``: panel's name -> fractions by the levels of both, as text.
    """
    with style.panels(
        path, len(metrics), (3.6, 3.0), title, columns=len(metrics), left=1.0, gap=(1.1, 0.8)
    ) as axes:
        for ax, (name, cells) in zip(axes, metrics.items(), strict=True):
            rows, columns = _in_order(cells.index), _in_order(cells.columns)
            grid = 100 * cells.loc[rows, columns].to_numpy()
            ax.imshow(grid, aspect="auto", cmap="cividis")
            ax.grid(visible=False)
            middle = (np.nanmin(grid) + np.nanmax(grid)) / 2
            for (i, j), value in np.ndenumerate(grid):
                ax.text(
                    j, i, "not run" if np.isnan(value) else f"{value:.2f}", ha="center",
                    va="center", color="white" if value <= middle else "black",
                )  # fmt: skip
            ax.set_xticks(range(len(columns)), columns)
            ax.set_yticks(range(len(rows)), rows)
            ax.set(title=f"{name}, %", xlabel=options[1], ylabel=options[0])


def trade_off(
    points: dict[str, tuple[float, float, bool]], names: tuple[str, str], title: str, path: Path
) -> None:
    """Two figures of each setting against each other; those that none beats joined and named.

    ``points``: name -> x, y, and whether it is on the Pareto front; ``names``: of the axes.
    """
    with style.panels(path, 1, (6.6, 3.6), title) as (ax,):
        front = sorted((x, y, name) for name, (x, y, on) in points.items() if on)
        beaten = np.array([p for *p, on in points.values() if not on]).reshape(-1, 2).T
        ax.plot(*beaten, ls="", marker="o", ms=6.5, color=style.GREY, label="beaten by another")
        places = np.array([(x, y) for x, y, _ in front]).T
        ax.plot(*places, color=style.BLUE, marker="D", ms=7, lw=1.2, label="Pareto front")
        for x, y, name in front:
            left = x > np.mean(ax.get_xlim())
            ax.annotate(
                name, (x, y), (6 - 12 * left, -11), ha="right" if left else "left",
                textcoords="offset points", fontsize=8,
            )  # fmt: skip
        ax.margins(x=0.18, y=0.12)
        ax.set(xlabel=names[0], ylabel=names[1])
        ax.legend(loc="best")


def study_picture(
    values: dict[int, float],
    options: dict[str, list[Any]],
    shares: dict[str, float],
    told: dict[int, dict[int, float]],
    objective: str,
    smaller: bool,
    title: str,
    path: Path,
) -> None:
    """History with the best so far, values by epoch, importances, and a panel an option.

    Args:
        values: a complete trial's number -> its objective.
        options: name -> a value each of these trials: numbers, or words.
        shares: name -> importance, which add to 1; empty: not known.
        told: any trial's number -> epoch, from 0 as stored -> value; drawn from 1.
        smaller: whether less is better.
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


def _in_order(levels: Iterable[str]) -> list[str]:
    try:
        return sorted(levels, key=float)
    except ValueError:
        return sorted(levels)


def value_axis(ax: Axes, values: Sequence[float]) -> None:
    """The x axis of an option: logarithmic over a decade or more, ticks at few values apart."""
    known = sorted(set(values))
    places = np.array(known, dtype=float)
    if places[0] > 0 and places[-1] >= 10 * places[0]:
        ax.set_xscale("log")
        places = np.log(places)
    if len(known) < 2 or np.diff(places).min() * _TICKS >= np.ptp(places):
        ax.set_xticks(known, [f"{value:.4g}" for value in known])
        ax.set_xticks([], minor=True)


def _lines(ax: Axes, systems: list[dict[Any, Any]]) -> None:
    """A line a system, from the top."""
    heights = np.arange(len(systems))[::-1]
    for number, (height, of) in enumerate(zip(heights, systems, strict=True)):
        colour, marker, _ = style.look(number)
        ax.hlines(height, 100 * of["low"], 100 * of["high"], color=colour, lw=2.2, alpha=0.8)
        if len(values := of["values"]) > 1:
            ax.scatter(
                100 * values, np.full(len(values), height - 0.24), marker="x", s=18,
                color="#333333", zorder=4, lw=1,
            )  # fmt: skip
        ax.scatter(100 * of["mean"], height, marker=marker, s=42, color=colour, lw=1.8, zorder=3)
        if not np.isnan(of["published"]):
            ax.scatter(
                100 * of["published"], height, marker="|", s=190, color="black", lw=2, zorder=2,
                label="published",
            )  # fmt: skip
    ax.set_yticks(heights, [of["system"] for of in systems])
    ax.set_ylim(-0.6, len(systems) - 0.4)


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
