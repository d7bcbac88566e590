"""The bottleneck in two dimensions, from ``embeddings.npz``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from asd.errors import AsdError
from asd.pictures import style
from asd.pictures.examples import PROJECTIONS
from asd.pictures.model_files import Embeddings
from asd.scoring.metrics import machine_order

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEAST = 3  # clips without which there is nothing to project


def project(values: np.ndarray, projection: str, seed: int) -> tuple[np.ndarray, tuple[str, str]]:
    """Embeddings in two dimensions.

    Args:
        values: [clips, dimensions].
        projection: ``pca`` (linear, distances keep their sense) or ``tsne`` (neighbourhoods only).
        seed: of t-SNE.

    Returns:
        [clips, 2], and the names of the axes.

    Raises:
        AsdError: the projection is not one of ours.
    """
    if projection not in PROJECTIONS:
        raise AsdError(f"projection={projection}: must be one of {', '.join(PROJECTIONS)}")
    wide = np.asarray(values, dtype=np.float64)
    if wide.shape[1] < 2:
        wide = np.hstack([wide, np.zeros((len(wide), 1))])
    if projection == "tsne":
        from sklearn.manifold import TSNE

        perplexity = min(30.0, (len(wide) - 1) / 3)
        made = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(wide)
        return made, ("t-SNE 1", "t-SNE 2")
    from sklearn.decomposition import PCA

    pca = PCA(2, svd_solver="full")
    made = pca.fit_transform(wide)
    share = np.nan_to_num(100 * pca.explained_variance_ratio_)
    return made, (f"PC 1 ({share[0]:.0f} % of variance)", f"PC 2 ({share[1]:.0f} %)")


@style.styled
def scatter(
    models: dict[str, Embeddings], projection: str, seed: int, title: str, path: Path
) -> Path | None:
    """One model: a panel coloured by machine and one by label. Several: a panel each, by label.

    Args:
        models: name -> its embeddings.
        projection, seed: see ``project``.
        title: of the picture.
        path: the PNG to write.

    Returns:
        The path; None if no model has enough clips.
    """
    models = {name: e for name, e in models.items() if len(e.values) >= _LEAST}
    if not models:
        return None
    if len(models) == 1:
        ((_, only),) = models.items()
        figure, axes = style.panels(1, 2, (4.6, 3.8), title)
        points, names = project(only.values, projection, seed)
        machines = machine_order(set(only.clips["machine"]))
        for number, machine in enumerate(machines):
            colour, marker = style.CYCLE[number % 7], style.MARKERS[number % 7]
            _points(axes[0], points[(only.clips["machine"] == machine).to_numpy()], colour,
                    marker, machine)  # fmt: skip
        _by_label(axes[1], points, only)
        axes[0].set_title("by machine type")
        axes[1].set_title("by label")
        for ax in axes:
            ax.set(xlabel=names[0], ylabel=names[1])
            ax.legend(loc="best", markerscale=1.5)
        return style.save(figure, path)
    figure, axes = style.panels(*style.grid_shape(len(models)), (2.8, 2.5), title, gap=(0.75, 0.75))
    for ax, name in zip(axes, machine_order(models), strict=False):
        points, names = project(models[name].values, projection, seed)
        _by_label(ax, points, models[name])
        ax.set(title=name, xlabel=names[0], ylabel=names[1])
    axes[0].legend(markerscale=1.5)
    for ax in axes[len(models) :]:
        ax.set_visible(False)
    return style.save(figure, path)


def _by_label(ax: Axes, points: np.ndarray, embeddings: Embeddings) -> None:
    labels = embeddings.clips["label"].to_numpy()
    for label, (name, colour, marker) in style.OF_LABEL.items():
        if (labels == label).any():
            _points(ax, points[labels == label], colour, marker, name)


def _points(ax: Axes, points: np.ndarray, colour: str, marker: str, name: str) -> None:
    ax.scatter(
        points[:, 0], points[:, 1], s=18, color=colour, marker=marker, alpha=0.65, linewidths=0,
        label=name,
    )  # fmt: skip
