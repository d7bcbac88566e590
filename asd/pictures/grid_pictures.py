"""Pictures of a grid of runs: systems side by side, differences, and alpha against AUC."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asd.pictures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
class AlphaPoint:
    """A system of the semi-supervised grid at its alpha; None where there is no run."""

    alpha: float
    ours: Point | None
    published: float | None


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


def alpha_curves(
    metrics: dict[str, list[AlphaPoint]], title: str, published: str, path: Path
) -> Path | None:
    """Alpha against the mean over machine types, the paper's curve beside ours.

    Args:
        metrics: panel's name -> systems.
        published: name of the paper's curve; says what data it is of.
        title, path: see ``style.panels``.

    Returns:
        The path; None if fewer than two of our systems are on the curve.
    """
    if all(sum(p.ours is not None for p in points) < 2 for points in metrics.values()):
        return None
    with style.panels(path, len(metrics), (4.3, 3.1), title, columns=len(metrics)) as axes:
        look: dict[str, Any]
        for ax, (name, points) in zip(axes, metrics.items(), strict=True):
            ordered = sorted(points, key=lambda p: p.alpha)
            paper = [(p.alpha, 100 * p.published) for p in ordered if p.published is not None]
            if paper:
                look = {"color": style.VERMILLION, "ls": "--", "marker": "^", "ms": 7}
                ax.plot(*zip(*paper, strict=True), **look, label=published)
            ours = [(p.alpha, p.ours) for p in ordered if p.ours is not None]
            figures = [(p.mean, p.mean - p.low, p.high - p.mean) for _, p in ours]
            mean, below, above = 100 * np.array(figures).reshape(-1, 3).T
            look = {"color": style.BLUE, "marker": "o", "ms": 7, "capsize": 4, "lw": 1.8}
            label = "ours, the table's interval"
            # Of few resamples or clips, the interval need not hold the mean.
            bars = np.maximum([below, above], 0)
            ax.errorbar([alpha for alpha, _ in ours], mean, bars, **look, label=label)
            for alpha, p in ours:
                if len(values := 100 * np.array(p.values)) > 1:
                    ax.scatter([alpha] * len(values), values, s=22, c="black", marker="x", zorder=4)
            ax.axhline(50, color="#9aa3ab", lw=1)
            ax.set_xticks([p.alpha for p in ordered])
            ax.set(title=name, xlabel="alpha, weight of the reconstruction (1: U)", ylabel="%")
            ax.legend(loc="best")
    return path


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
