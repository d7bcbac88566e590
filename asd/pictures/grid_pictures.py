"""Pictures of many runs: side by side, differences, figures against options and against cost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asd.pictures import style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

_TICKS = 8  # as many values of an option, evenly apart, have a tick each


@dataclass(frozen=True)
class Point:
    """A figure with its interval, as fractions; ``values`` are those of the single trainings.

    ``published`` is the paper's, or None; ``decided``: of a difference, whether its verdict is one.
    """

    name: str
    mean: float
    low: float
    high: float
    values: tuple[float, ...] = ()
    published: float | None = None
    decided: bool = False


@dataclass(frozen=True)
class CurvePoint:
    """A value of an option and the figure there; None where there is no run."""

    value: float
    ours: Point | None
    published: float | None = None


def overview(machines: dict[str, list[Point]], metric: str, title: str, path: Path) -> Path | None:
    """A panel a machine type, a line a system: mean, interval, single trainings.

    Args:
        machines: panel's name -> systems; the published figures are drawn where given.
        metric: name on the axis.
        title, path: see ``style.panels``.

    Returns:
        The path; None if there is nothing to show.
    """
    machines = {name: points for name, points in machines.items() if points}
    if not machines:
        return None
    columns = 4 if len(machines) > 6 else min(3, len(machines))
    most = max(map(len, machines.values()))
    widest = max(len(p.name) for points in machines.values() for p in points)
    with style.panels(
        path, len(machines), (2.3, 0.35 + 0.27 * most), title, columns=columns,
        left=0.4 + 0.085 * widest, bottom=0.7, gap=(0.25, 0.55),
        below=f"{metric}, %   (line: the table's interval; crosses: single trainings)",
    ) as axes:  # fmt: skip
        for ax in axes[1:]:
            ax.sharex(axes[0])
        for number, (ax, (name, points)) in enumerate(zip(axes, machines.items(), strict=True)):
            looks = [style.look(i) for i in range(len(points))]
            _lines(ax, points, 42, [(colour, marker, colour) for colour, marker, _ in looks])
            ax.tick_params(labelleft=number % columns == 0)
            ax.axvline(50, color="#9aa3ab", lw=1)
            ax.set(title=name)
        handles, labels = axes[0].get_legend_handles_labels()
        if handles:
            axes[0].figure.legend(handles[:1], labels[:1], loc="lower right")
    return path


def differences(points: list[Point], title: str, axis: str, path: Path) -> Path:
    """A line a machine type: a paired difference with its interval, and zero marked.

    Args:
        points: in the order from the top.
        axis: what is subtracted from what.
        title, path: see ``style.panels``.
    """
    with style.panels(path, 1, (6.6, 0.4 + 0.32 * len(points)), title, left=1.2) as (ax,):
        better, worse = (style.BLUE, "o", style.BLUE), (style.VERMILLION, "^", style.VERMILLION)
        open_ = (style.GREY, "o", "white")
        looks = [(better if p.mean > 0 else worse) if p.decided else open_ for p in points]
        _lines(ax, points, 60, looks)
        ax.axvline(0, color="black", lw=1.2)
        ax.set(xlabel=f"{axis}, points (filled: the table's verdict decides)")
    return path


def option_curves(
    metrics: dict[str, list[CurvePoint]], option: str, title: str, path: Path, published: str = ""
) -> Path | None:
    """A numeric option against a figure: means with a band, single trainings, the paper's curve.

    Args:
        metrics: panel's name -> points.
        option: name of the x axis, logarithmic where the values span a decade or more.
        published: name of the paper's curve; says what data it is of.
        title, path: see ``style.panels``.

    Returns:
        The path; None if fewer than two of our points are on a curve.
    """
    if all(sum(p.ours is not None for p in points) < 2 for points in metrics.values()):
        return None
    with style.panels(path, len(metrics), (4.3, 3.1), title, columns=len(metrics)) as axes:
        look: dict[str, Any]
        for ax, (name, points) in zip(axes, metrics.items(), strict=True):
            ordered = sorted(points, key=lambda p: p.value)
            paper = [(p.value, 100 * p.published) for p in ordered if p.published is not None]
            if paper:
                look = {"color": style.VERMILLION, "ls": "--", "marker": "^", "ms": 7}
                ax.plot(*zip(*paper, strict=True), **look, label=published)
            ours = [(p.value, p.ours) for p in ordered if p.ours is not None]
            at = [value for value, _ in ours]
            mean, low, high = 100 * np.array([(p.mean, p.low, p.high) for _, p in ours]).T
            ax.fill_between(at, low, high, color=style.BLUE, alpha=0.15, lw=0,
                            label="the table's interval")  # fmt: skip
            ax.plot(at, mean, color=style.BLUE, marker="o", ms=7, lw=1.8, label="ours, mean")
            for value, p in ours:
                if len(values := 100 * np.array(p.values)) > 1:
                    ax.scatter([value] * len(values), values, s=22, c="black", marker="x", zorder=4)
            ax.axhline(50, color="#9aa3ab", lw=1)
            value_axis(ax, [p.value for p in ordered])
            ax.set(title=name, xlabel=option, ylabel="%")
            ax.legend(loc="best")
    return path


def heat_maps(
    metrics: dict[str, dict[tuple[str, ...], float]], options: Sequence[str], title: str, path: Path
) -> Path:
    """Two options against a figure, a cell a combination; one may be not run.

    Args:
        metrics: panel's name -> levels of both -> fraction.
        options: their names.
        title, path: see ``style.panels``.
    """
    with style.panels(
        path, len(metrics), (3.6, 3.0), title, columns=len(metrics), left=1.0, gap=(1.1, 0.8)
    ) as axes:
        for ax, (name, cells) in zip(axes, metrics.items(), strict=True):
            rows, columns = (_in_order({at[i] for at in cells}) for i in (0, 1))
            grid = np.full((len(rows), len(columns)), np.nan)
            for (row, column), value in cells.items():
                grid[rows.index(row), columns.index(column)] = 100 * value
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


def _in_order(levels: set[str]) -> list[str]:
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


def _lines(ax: Axes, points: list[Point], size: float, looks: list[tuple[str, str, str]]) -> None:
    """A line a point, from the top; looks are the line's colour, the marker and its face."""
    heights = np.arange(len(points))[::-1]
    for height, point, (colour, marker, face) in zip(heights, points, looks, strict=True):
        if not np.isnan(point.low):
            ax.hlines(height, 100 * point.low, 100 * point.high, color=colour, lw=2.2, alpha=0.8)
        if len(values := point.values) > 1:
            ax.scatter(
                100 * np.array(values), np.full(len(values), height - 0.24), marker="x", s=18,
                color="#333333", zorder=4, lw=1,
            )  # fmt: skip
        ax.scatter(
            100 * point.mean, height, marker=marker, s=size, color=face, edgecolors=colour, lw=1.8,
            zorder=3,
        )  # fmt: skip
        if point.published is not None:
            ax.scatter(
                100 * point.published, height, marker="|", s=190, color="black", lw=2, zorder=2,
                label="published",
            )  # fmt: skip
    ax.set_yticks(heights, [p.name for p in points])
    ax.set_ylim(-0.6, len(points) - 0.4)
