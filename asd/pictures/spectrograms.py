"""Input, reconstruction and error maps of clips, from ``examples.npz``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asd.pictures import style
from asd.pictures.examples import MAPS, KeptClips

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

_TICKS = (250, 1000, 2000, 4000, 8000, 16000)  # of a frequency axis, Hz


def triptychs(examples: KeptClips, machine: str, title: str, path: Path) -> Path | None:
    """A row a clip of a type: input and reconstruction in dB on one scale, and the squared error.

    Returns:
        The path; None if the type has no clip.
    """
    clips = examples.clips[examples.clips["machine"] == machine]
    if clips.empty:
        return None
    arrays = examples.arrays
    maps = [[arrays[f"{name}_{number}"] for name in MAPS] for number in clips.index]
    levels = np.concatenate([clip[:2] for clip in maps], axis=None)
    errors = np.concatenate([clip[2] for clip in maps], axis=None)
    low, high = np.quantile(levels, [0.005, 0.999])
    worst = max(float(np.quantile(errors, 0.995)), 1e-12)
    scales = [("viridis", low, high)] * 2 + [("inferno", 0.0, worst)]
    with style.panels(
        path, 3 * len(clips), (3.3, 1.85), title, columns=3, right=0.65, gap=(0.62, 0.62)
    ) as axes:
        for number, (clip, values) in enumerate(zip(clips.itertuples(), maps, strict=True)):
            row = axes[3 * number : 3 * number + 3]
            names = (_about(clip), "reconstruction", f"squared error; score {clip.score:.4g}")
            for ax, pixels, name, scale in zip(row, values, names, scales, strict=True):
                unit = "error²" if ax is row[2] else "dB"
                one_bar = number == 0 and ax is not row[0]  # one scale for all rows
                hop = float(arrays["hop_seconds"])
                draw_map(ax, pixels, hop, name, scale, unit if one_bar else "")
                # Ticks are most of the time that a picture takes: only where somebody reads them.
                ax.set_yticks([])
                if number == len(clips) - 1:
                    ax.set_xlabel("time, s")
                else:
                    ax.set_xticks([])
            frequency_ticks(row[0].yaxis, arrays["centre_hz"])
    return path


def draw_map(
    ax: Axes, pixels: np.ndarray, hop: float, title: str, scale: Sequence[Any], unit: str
) -> None:
    """An image of [frames, bands].

    Args:
        hop: seconds from frame to frame.
        scale: colour map, least and greatest value.
        unit: above a bar with the colours; empty: no bar.
    """
    frames, bands = pixels.shape
    cmap, *limits = scale
    image = ax.imshow(
        pixels.T, origin="lower", aspect="auto", extent=(0, frames * hop, -0.5, bands - 0.5),
        cmap=cmap, clim=limits, interpolation="nearest",
    )  # fmt: skip
    ax.grid(visible=False)
    ax.set_title(title, loc="left", fontsize=9.5)
    if unit:
        bar = ax.figure.colorbar(image, cax=ax.inset_axes((1.02, 0, 0.035, 1)))
        bar.ax.set_title(unit, fontsize=8.5)


def frequency_ticks(axis: Axis, centre: np.ndarray) -> None:
    """Frequencies on an axis of bands, which are evenly spaced, as on the network's input.

    Args:
        centre: [bands] of each, in Hz.
    """
    ticks = [hz for hz in _TICKS if centre[0] <= hz <= centre[-1] * 1.05]
    places = np.interp(ticks, centre, np.arange(len(centre)))
    axis.set_ticks(places, [f"{hz / 1000:g}" for hz in ticks])
    axis.set_label_text("frequency, kHz")


def _about(clip: Any) -> str:
    label = {0: "normal", 1: "anomaly", -1: "label not known"}[clip.label]
    role = clip.role if clip.role.endswith(label) else f"{clip.role} ({label})"
    return f"input: {role}\n{Path(clip.file).name}"
