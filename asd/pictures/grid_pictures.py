"""Pictures of many runs: side by side, figures against options and against cost."""

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


def overview(figures: pd.DataFrame, metric: str, title: str, path: Path) -> Path:
    """A panel a machine type, a line a system: mean, interval, single trainings.

    Args:
        figures: a row a machine type and system: machine, system, mean, low, high, values (of the
            single trainings), published; fractions, NaN is not there. At least one.
        metric: name on the axis.
        title, path: see ``style.panels``.
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
    return path


def option_curves(metrics: dict[str, pd.DataFrame], option: str, title: str, path: Path) -> Path:
    """A numeric option against a figure: means with a band, and single trainings.

    Args:
        metrics: panel's name -> a row a value of the option: value, mean, low, high, values,
            see ``overview``.
        option: name of the x axis, logarithmic where the values span a decade or more.
        title, path: see ``style.panels``.
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
    return path


def heat_maps(
    metrics: dict[str, pd.DataFrame], options: Sequence[str], title: str, path: Path
) -> Path:
    """Two options against a figure, a cell a combination; one may be not run.

    Args:
        metrics: panel's name -> fractions by the levels of both, as text.
        options: their names.
        title, path: see ``style.panels``.
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
    return path


def trade_off(
    points: dict[str, tuple[float, float, bool]], names: tuple[str, str], title: str, path: Path
) -> Path:
    """Two figures of each setting against each other; those that none beats joined and named.

    Args:
        points: name -> x, y, and whether it is on the Pareto front.
        names: of the axes.
        title, path: see ``style.panels``.
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
    return path


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
