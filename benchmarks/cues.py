"""What clips of the simulated corpus give away without learning: mean AUC by machine and fault.

    python -m benchmarks.cues [scale=small data.root=FOLDER data.seed=1 ...]

The scores of a clip: its level (rms); how many dB that is from the mean of the training clips of
its machine ID (deviation); its peak; its absolute mean (DC); and the distance to the nearest
training clip of its ID (knn) between mean and standard deviation of each band over time,
standardised over those clips. AUCs are of each machine ID, then averaged; a fault's anomalies stand
against all normal test clips of their ID.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import pandas as pd
import soundfile
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.metrics import roc_auc_score

from asd.composition import build, compose_config, plain
from asd.data.simulated import Simulated

Array = NDArray[np.float64]
CUES = ("level", "deviation", "peak", "DC", "knn")


def clip_cues(corpus: Simulated, frontend: Any) -> pd.DataFrame:
    """The development test clips with their causes, one column a cue."""
    clips = corpus.manifest(["development"]).clips
    causes = pd.read_csv(corpus.folder / "development" / "causes.csv")
    clips = clips.merge(causes, on="path", how="left")
    waves = [soundfile.read(corpus.folder / path)[0] for path in clips["path"]]
    clips["level"] = [float(np.sqrt(np.mean(wave**2))) for wave in waves]
    clips["peak"] = [float(np.abs(wave).max()) for wave in waves]
    clips["DC"] = [float(abs(wave.mean())) for wave in waves]
    bands = [frontend.features(wave) for wave in waves]
    described = np.array([[*b.mean(axis=0), *b.std(axis=0)] for b in bands], dtype=np.float64)
    for _, rows in clips.groupby(["machine", "id"]).indices.items():
        train = (clips["split"].iloc[rows] == "train").to_numpy()
        db = 20.0 * np.log10(clips["level"].to_numpy()[rows])
        clips.loc[clips.index[rows], "deviation"] = np.abs(db - db[train].mean())
        clips.loc[clips.index[rows], "knn"] = _nearest(described[rows], train)
    return clips[clips["split"] == "test"]


def _nearest(described: Array, train: NDArray[np.bool_]) -> Array:
    """Distance of each clip to the nearest training clip, [clips]."""
    known = described[train]
    spread = known.std(axis=0)
    scaled = (described - known.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return np.asarray(cdist(scaled, scaled[train]).min(axis=1))


def cue_aucs(clips: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Mean AUC in percent over machine IDs of each cue, a row a group of anomalies.

    Args:
        clips: of ``clip_cues``.
        by: ``["machine"]`` or ``["machine", "cause"]``.
    """
    rows = []
    for _, group in clips.groupby(["machine", "id"]):
        normal = group[group["label"] == 0]
        for key, found in group[group["label"] == 1].groupby(by):
            both = pd.concat([normal, found])
            aucs = {cue: 100 * roc_auc_score(both["label"], both[cue]) for cue in CUES}
            rows.append({**dict(zip(by, key, strict=True)), "clips": len(found), **aucs})
    named = pd.DataFrame(rows).groupby(by)
    return named.mean().assign(clips=named["clips"].sum())


def main(arguments: list[str] | None = None) -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("overrides", nargs="*", help="as for asd.train")
    cfg = compose_config(["data=simulated", *parser.parse_args(arguments).overrides])
    data = {name: value for name, value in plain(cfg)["data"].items() if name != "test"}
    clips = clip_cues(build(data, "data"), build(cfg.frontend, "frontend"))
    for by in (["machine"], ["machine", "cause"]):
        table = cue_aucs(clips, by)
        print(table.round(1).to_string())
        print("mean", table[list(CUES)].mean().round(1).to_dict(), end="\n\n")


if __name__ == "__main__":
    main()
