"""Why a recording has its score: where its error lies, beside where that of normal clips does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from asd.pictures import style
from asd.pictures.spectrograms import draw_map, frequency_ticks

if TYPE_CHECKING:
    from asd.frontends.frontend import FrontEnd
    from asd.scoring.scorer import ScoredClips


def explanation(
    scored: ScoredClips, row: int, frontend: FrontEnd, bank: str, title: str, path: Path
) -> None:
    """Spectrogram and error map; below, the error by time and by band against normal clips.

    Args:
        scored: with the clip.
        row: its number there.
        frontend: of the detector.
        bank: whose normal clips it is compared with, of ``asd.scoring.error_maps.error_profiles``;
            where the detector has none of them, the picture says so.
        title, path: see ``style.panels``.
    """
    from asd.scoring.error_maps import QUANTILES, error_maps

    maps = error_maps(scored, row)
    error, hop = maps["error"], float(frontend.hop_seconds)
    centre = np.asarray(frontend.centre_frequencies(), np.float64)
    normal = scored.detector.profiles.get(bank)
    from_what = "the reconstruction" if scored.detector.has_network else "the training clips' mean"
    with style.panels(path, 4, (4.6, 2.3), title, right=0.75, gap=(1.45, 0.85)) as axes:
        levels = np.quantile(maps["input"], [0.005, 0.999])
        draw_map(axes[0], maps["input"], hop, "spectrogram", ("viridis", *levels), "dB")
        scale = ("inferno", 0.0, max(float(np.quantile(error, 0.995)), 1e-12))
        draw_map(axes[1], error, hop, f"squared deviation from {from_what}", scale, "error²")
        for ax in axes[:2]:
            frequency_ticks(ax.yaxis, centre)
            ax.set_xlabel("time, s")
        bands = np.arange(len(centre))
        profiles = (
            (axes[2], np.arange(len(error)) * hop, error.mean(1), "over time", slice(-1, None)),
            (axes[3], bands, error.mean(0), "over the bands", slice(None, -1)),
        )
        for ax, places, values, over, part in profiles:
            if normal is not None:
                limits = np.broadcast_to(normal.numpy()[:, part], (len(QUANTILES), len(places)))
                span = f"normal clips of {bank}, {QUANTILES[0]:.0%} to {QUANTILES[-1]:.0%}"
                ax.fill_between(
                    places, limits[0], limits[-1], color=style.SKY, alpha=0.4, label=span
                )
                ax.plot(places, limits[1], color=style.BLUE, lw=1, ls="--", label="their median")
            ax.plot(places, values, color=style.VERMILLION, lw=1.2, label="this clip")
            ax.set_ylim(0, 1.3 * ax.get_ylim()[1])  # room for the legend
            ax.set_ylabel("mean error²")
            without = "" if normal is not None else f"; no normal clips of {bank} to compare with"
            ax.set_title(f"error {over}{without}", loc="left", fontsize=9.5)
        axes[2].set_xlabel("time, s")
        axes[2].legend(loc="upper left", ncols=3)
        frequency_ticks(axes[3].xaxis, centre)
