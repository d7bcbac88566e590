"""A few clips as a model sees them: input, reconstruction and error maps.

They are kept in ``examples.npz`` while it scores, so that pictures need neither it nor the audio.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asd.errors import AsdError
from asd.files import check_regular, replacing
from asd.pictures import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

EXAMPLES = "examples.npz"
COLUMNS = ["machine", "id", "file", "label", "score"]  # of a clip in it
MAPS = ("input", "reconstruction", "error")
_TICKS = (250, 1000, 2000, 4000, 8000, 16000)  # of a frequency axis, Hz


@dataclass(frozen=True)
class KeptClips:
    """Content of ``examples.npz``.

    Args:
        clips: a row a clip, with ``COLUMNS`` and ``role``: ``median normal`` or
            ``most anomalous``.
        arrays: ``centre_hz`` [bands], ``hop_seconds``, and [frames, bands] of each clip, by its
            row: ``input_0`` and ``reconstruction_0`` in dB, and ``error_0``, squared, in the domain
            of the score.
    """

    clips: pd.DataFrame
    arrays: dict[str, Any]

    def write(self, path: Path) -> None:
        """Write the file in one step; ``OSError`` if it cannot be written."""
        about = json.dumps({"clips": self.clips.to_dict("records")})
        with replacing(path) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, about=np.array(about), **self.arrays)

    @classmethod
    def read(cls, path: Path) -> KeptClips:
        """Read such a file; ``AsdError`` if it is missing or damaged."""
        import pandas as pd

        try:
            check_regular(path)
            with np.load(path, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            about = json.loads(str(arrays.pop("about")))
            return cls(pd.DataFrame(about["clips"]), arrays)
        except FileNotFoundError as error:
            raise AsdError(f"{path}: no such file") from error
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise AsdError(f"{path}: damaged ({error}); remove it and score again") from error


def chosen(scores: pd.DataFrame, anomalous: int) -> list[tuple[str, int]]:
    """(role, row) of the clips to show: the median normal, then those of the highest scores.

    Where no clip is known to be normal, the median of all stands for it.
    """
    if scores.empty:
        return []
    scores = scores.reset_index(drop=True)
    normal = scores[scores["label"] == 0]["score"]
    role, among = ("median normal", normal) if len(normal) else ("median", scores["score"])
    median = among.sort_values(kind="stable").index[(len(among) - 1) // 2]
    top = scores["score"].sort_values(kind="stable", ascending=False).index[:anomalous]
    return [(role, int(median)), *(("most anomalous", int(row)) for row in top)]


def triptychs(examples: KeptClips, machine: str, title: str, path: Path) -> None:
    """A row a clip of a type: input and reconstruction in dB on one scale, the squared error."""
    clips, arrays = examples.clips[examples.clips["machine"] == machine], examples.arrays
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


def draw_map(
    ax: Axes, pixels: np.ndarray, hop: float, title: str, scale: Sequence[Any], unit: str
) -> None:
    """An image of [frames, bands], ``hop`` seconds from frame to frame.

    ``scale``: colour map, least and greatest value; ``unit``: above a bar of it, empty: no bar.
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
    """Frequencies on an axis of evenly spaced bands; ``centre``: [bands], in Hz."""
    ticks = [hz for hz in _TICKS if centre[0] <= hz <= centre[-1] * 1.05]
    places = np.interp(ticks, centre, np.arange(len(centre)))
    axis.set_ticks(places, [f"{hz / 1000:g}" for hz in ticks])
    axis.set_label_text("frequency, kHz")


def _about(clip: Any) -> str:
    label = {0: "normal", 1: "anomaly", -1: "label not known"}[clip.label]
    role = clip.role if clip.role.endswith(label) else f"{clip.role} ({label})"
    return f"input: {role}\n{Path(clip.file).name}"
