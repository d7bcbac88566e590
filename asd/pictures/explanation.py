"""Why a recording has its score: where its error lies, beside where that of normal clips does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from asd.errors import AsdError
from asd.pictures import style
from asd.pictures.spectrograms import draw_map, frequency_ticks

if TYPE_CHECKING:
    import pandas as pd

    from asd.scoring.recordings import RecordingScorer
    from asd.scoring.scorer import ScoredClips


def explanations(
    scorer: RecordingScorer, answers: pd.DataFrame, scored: ScoredClips, folder: Path
) -> None:
    """A picture of each recording: spectrogram and error map; the error over time and bands beside
    that of normal clips.

    Args:
        scorer: gave the other two.
        answers: of the recordings that have a score, with its columns.
        scored: the same.
        folder: for the pictures, called after the recordings and the folders that they lie in.

    Raises:
        AsdError: what the checkpoint keeps of normal clips is damaged.
    """
    for row, answer in enumerate(answers.to_dict("records")):
        machine, machine_id = map(str, scored.table.loc[row, ["machine", "id"]])
        file, bank, said = Path(answer["file"]), "", f"score {answer['score']:.4g}"
        if scorer.calibration.scores:
            bank, _ = scorer.calibration.normals(machine, machine_id)
            said += f", p {answer['p_value']:.3g} {answer['verdict']}"
        picture = folder / f"{'_'.join(file.parts[-4:]).lstrip('/')}.png"
        try:
            _explanation(scorer, scored, row, bank, f"{file.name}: {said}", picture)
        except ValueError as error:
            raise AsdError(f"{scorer.checkpoint}: its profiles are damaged ({error})") from error


def _explanation(
    scorer: RecordingScorer, scored: ScoredClips, row: int, bank: str, title: str, path: Path
) -> None:
    from asd.scoring.error_maps import QUANTILES, error_maps

    maps = error_maps(scored, row)
    error, hop = maps["error"], float(scorer.frontend.hop_seconds)
    centre = np.asarray(scorer.frontend.centre_frequencies(), np.float64)
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
            without = "" if normal is not None else "; the model keeps no normal clips' to compare"
            ax.set_title(f"error {over}{without}", loc="left", fontsize=9.5)
        axes[2].set_xlabel("time, s")
        axes[2].legend(loc="upper left", ncols=3)
        frequency_ticks(axes[3].xaxis, centre)
