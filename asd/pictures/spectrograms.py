"""Input, reconstruction and error maps of clips, from ``examples.npz``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from asd.pictures import style
from asd.pictures.model_files import Example, Examples

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HZ = (50, 100, 200, 500, 1000, 2000, 4000, 8000, 16000)  # where an axis may have a tick
_APART = 0.09  # of the axis, between two ticks


@style.styled
def triptychs(examples: Examples, machine: str, title: str, path: Path) -> Path | None:
    """A row a clip: input and reconstruction in dB on one scale, and the squared error.

    Args:
        examples: content of the file.
        machine: the type whose clips are shown.
        title: of the picture.
        path: the PNG to write.

    Returns:
        The path; None if the type has no clip.
    """
    clips = [clip for clip in examples.clips if clip.machine == machine]
    if not clips:
        return None
    both = np.concatenate([np.stack([c.input, c.reconstruction]).ravel() for c in clips])
    low, high = np.quantile(both, [0.005, 0.999])
    worst = float(np.quantile(np.concatenate([c.error.ravel() for c in clips]), 0.995))
    figure, axes = style.panels(len(clips), 3, (3.3, 1.85), title, right=0.65, gap=(0.62, 0.62))
    for number, clip in enumerate(clips):
        row = axes[3 * number : 3 * number + 3]
        for ax, values in zip(row[:2], (clip.input, clip.reconstruction), strict=True):
            levels = _map(ax, values, examples, "viridis", float(low), float(high))
        errors = _map(row[2], clip.error, examples, "inferno", 0.0, max(worst, 1e-12))
        _frequencies(row[0], examples.centre_hz)
        row[0].set_title(_about(clip), loc="left", fontsize=9.5)
        row[1].set_title("reconstruction", loc="left", fontsize=9.5)
        row[2].set_title(f"squared error; score {clip.score:.4g}", loc="left", fontsize=9.5)
        if number == 0:  # one scale for all rows
            for ax, image, name in ((row[1], levels, "dB"), (row[2], errors, "error²")):
                bar = figure.colorbar(image, cax=ax.inset_axes((1.02, 0, 0.035, 1)))
                bar.ax.set_title(name, fontsize=8.5)
        # Ticks are most of the time that a picture takes: only where somebody reads them.
        for ax in row[1:]:
            ax.set_yticks([])
        for ax in row if clip is not clips[-1] else ():
            ax.set_xticks([])
    for ax in axes[-3:]:
        ax.set_xlabel("time, s")
    return style.save(figure, path)


def _about(clip: Example) -> str:
    label = {0: "normal", 1: "anomaly", -1: "label not known"}[clip.label]
    told = clip.role if clip.role.endswith(label) else f"{clip.role} ({label})"
    return f"input: {told}\n{Path(clip.file).name}"


def _map(ax: Axes, values: np.ndarray, examples: Examples, cmap: str, low: float, high: float):  # type: ignore[no-untyped-def]
    frames, bands = values.shape
    ends = (0, frames * examples.hop_seconds, -0.5, bands - 0.5)
    image = ax.imshow(
        values.T, origin="lower", aspect="auto", extent=ends, cmap=cmap, vmin=low, vmax=high,
        interpolation="nearest",
    )  # fmt: skip
    ax.grid(visible=False)
    return image


def _frequencies(ax: Axes, centre: np.ndarray) -> None:
    """Bands are evenly spaced on the picture, as on the network's input; ticks say where in Hz."""
    ticks, places = _ticks(centre)
    ax.set_yticks(places, [f"{hz / 1000:g}k" if hz >= 1000 else str(hz) for hz in ticks])
    ax.set_ylabel("frequency, Hz")


def _ticks(centre: np.ndarray) -> tuple[list[int], list[float]]:
    """Round frequencies and the bands where they lie, from the top, none crowding another."""
    ticks: list[int] = []
    places: list[float] = []
    for hz in reversed(_HZ):
        place = float(np.interp(hz, centre, np.arange(len(centre))))
        inside = centre[0] <= hz <= centre[-1] * 1.05
        if inside and (not places or places[-1] - place >= _APART * len(centre)):
            ticks.append(hz)
            places.append(place)
    return ticks, places
