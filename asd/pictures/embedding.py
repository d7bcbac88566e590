"""The bottleneck in two dimensions, from ``embeddings.npz``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from asd.pictures import style
from asd.pictures.model_files import KeptClips
from asd.scoring.metrics import machine_order

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_LEAST = 3  # clips without which there is nothing to project
_TURNS = 12  # in which groups are drawn, so that none lies hidden below another


def project(values: np.ndarray) -> tuple[np.ndarray, tuple[str, str]]:
    """Embeddings [clips, dimensions] on their first two principal components.

    Returns:
        [clips, 2], and the names of the axes.
    """
    from sklearn.decomposition import PCA

    wide = np.asarray(values, dtype=np.float64)
    if wide.shape[1] < 2:
        wide = np.hstack([wide, np.zeros((len(wide), 1))])
    pca = PCA(2, svd_solver="full")
    points = pca.fit_transform(wide)
    share = np.nan_to_num(100 * pca.explained_variance_ratio_)
    return points, (f"PC 1 ({share[0]:.0f} % of variance)", f"PC 2 ({share[1]:.0f} %)")


def scatter(models: dict[str, KeptClips], title: str, path: Path) -> Path | None:
    """One model: a panel coloured by machine and one by label. Several: a panel each, by label.

    Args:
        models: name -> its embeddings.
        title, path: see ``style.panels``.

    Returns:
        The path; None if no model has enough clips.
    """
    models = {name: e for name, e in models.items() if len(e.clips) >= _LEAST}
    if not models:
        return None
    points = {name: project(e.arrays["values"]) for name, e in models.items()}
    shown = names = machine_order(models)
    single = len(models) == 1
    if single:
        shown, names = shown * 2, ["by machine type", "by label"]
    size, gap = ((4.6, 3.8), (0.62, 0.78)) if single else ((2.8, 2.5), (0.75, 0.75))
    with style.panels(path, len(shown), size, title, gap=gap) as axes:
        for ax, model, name in zip(axes, shown, names, strict=True):
            places, (xlabel, ylabel) = points[model]
            _groups(ax, places, models[model].clips, by_machine=name == "by machine type")
            ax.set(title=name, xlabel=xlabel, ylabel=ylabel)
        for ax in axes if single else axes[:1]:
            ax.legend(loc="best", markerscale=1.5)
    return path


def _groups(ax: Axes, points: np.ndarray, clips: pd.DataFrame, by_machine: bool) -> None:
    groups = list(style.by_label(clips["label"].to_numpy()))
    if by_machine:
        of_clip = clips["machine"].to_numpy()
        machines = enumerate(machine_order(of_clip))
        groups = [(of_clip == name, name, *style.look(number)[:2]) for number, name in machines]
    for turn in range(_TURNS):
        for mask, name, colour, marker in groups:
            x, y = points[np.flatnonzero(mask)[turn::_TURNS]].T
            ax.scatter(
                x, y, s=18, color=colour, marker=marker, alpha=0.65, linewidths=0,
                label=None if turn else name,
            )  # fmt: skip
