"""Why a recording has its score: its error and its level, beside those of normal clips."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asd.errors import AsdError
from asd.pictures import style
from asd.pictures.spectrograms import draw_map, frequency_ticks
from asd.scoring.calibration import normals_of
from asd.scoring.error_maps import QUANTILES, error_maps

if TYPE_CHECKING:
    from asd.scoring.recordings import RecordingScorer
    from asd.scoring.scorer import ScoredClips


def explain(
    scorer: RecordingScorer, answer: dict[Any, Any], scored: ScoredClips, row: int, picture: Path
) -> str:
    """Draw a recording: spectrogram and error map; the error over time and bands beside that of
    normal clips; the level over bands beside that of the nearest of them.

    Args:
        scorer: gave ``answer``, a row of its table, and ``scored``.
        row: of ``scored``.
        picture: the file to write, a PNG.

    Returns:
        That nearest clip, as the model names it (``machine/ID/file``); empty where it keeps none.
    """
    if scored.detector.has_network and not scored.detector.reconstructs:
        raise AsdError(f"{picture}: this system reconstructs nothing: there is no error to show")
    bank, title = "", f"{Path(answer['file']).name}: score {answer['score']:.4g}"
    if calibration := scored.detector.calibration:
        bank = normals_of(calibration, *scored.table.loc[row, ["machine", "id"]]).bank
        title += f", p {answer['p_value']:.3g} {answer['verdict'] or ''}"
    maps, hop = error_maps(scored, row), float(scorer.frontend.hop_seconds)
    centre = np.asarray(scorer.frontend.centre_frequencies(), np.float64)
    normal = scored.detector.profiles.get(bank)
    level, deviation, what = maps["input"], maps.get("error"), "error²"
    spectrum = level.mean(0)
    values, said = deviation, "squared error of the reconstruction"
    if deviation is None or values is None:  # there is no network
        values, what = level, "level, dB"
        own, theirs = "the clip's own mean", "the median of normal clips"
        said = f"distance from {own if normal is None else theirs}, dB"
        typical = spectrum if normal is None else normal.numpy()[1, :-1]
        deviation = np.abs(level - typical)
    kept = {name: one.numpy() for name, one in scored.detector.spectra.items()}
    own_kept = [name for name in kept if bank == "all" or name.startswith(f"{bank}/")]
    apart = {n: float(np.sqrt(np.mean(np.square(kept[n] - spectrum)))) for n in own_kept}
    nearest = min(apart, key=apart.__getitem__, default="")
    look: dict[str, Any] = {"right": 0.75, "gap": (1.45, 0.85), "columns": 2}
    with style.panels(picture, 5 + bool(nearest), (4.6, 2.3), title, **look) as axes:
        limits = np.quantile(level, [0.005, 0.999])
        draw_map(axes[0], level, hop, "spectrogram", ("viridis", *limits), "dB")
        worst = max(float(np.quantile(deviation, 0.995)), 1e-12)
        draw_map(axes[1], deviation, hop, said, ("inferno", 0.0, worst), what.split()[-1])
        for ax in axes[:2]:
            frequency_ticks(ax.yaxis, centre)
            ax.set_xlabel("time, s")
        profiles = (
            (axes[2], np.arange(len(values)) * hop, values.mean(1), "time", slice(-1, None)),
            (axes[3], np.arange(len(centre)), values.mean(0), "the bands", slice(None, -1)),
        )
        for ax, places, mean, over, part in profiles:
            if normal is not None:
                low, middle, high = np.broadcast_to(normal.numpy()[:, part], (3, len(places)))
                span = f"normal clips of {bank}, {QUANTILES[0]:.0%} to {QUANTILES[-1]:.0%}"
                ax.fill_between(places, low, high, color=style.SKY, alpha=0.4, label=span)
                ax.plot(places, middle, color=style.BLUE, lw=1, ls="--", label="their median")
            ax.plot(places, mean, color=style.VERMILLION, lw=1.2, label="this clip")
            ax.margins(y=0.2)  # room for the legend
            without = "" if normal is not None else "; of normal clips the model keeps nothing"
            ax.set_title(f"mean {what} over {over}{without}", loc="left", fontsize=9.5)
        axes[2].set_xlabel("time, s")
        axes[4].plot(spectrum, color=style.VERMILLION, lw=1.2, label="this clip")
        said = "nearest normal clip: the model keeps none"
        if nearest:
            said = f"nearest of {len(apart)} normal clips {apart[nearest]:.2g} dB away"
            name, higher = nearest.split("/", 2)[2], spectrum - kept[nearest]
            axes[4].plot(kept[nearest], color=style.BLUE, lw=1, ls="--", label=name)
            axes[5].fill_between(np.arange(len(centre)), higher, color=style.VERMILLION)
            axes[5].set_title("this clip less the nearest, dB", loc="left", fontsize=9.5)
        axes[4].set_title(f"mean level over the bands, dB; {said}", loc="left", fontsize=9.5)
        axes[4].margins(y=0.2)
        for ax in axes[2:5:2]:
            ax.legend(loc="upper left", ncols=3)
        for ax in axes[3:]:
            frequency_ticks(ax.xaxis, centre)
    return nearest
