"""Run folders with made-up scores, as trainings would leave them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from asd.scoring.clip_scores import write_scores

MACHINES = ("ToyCar", "ToyConveyor", "fan", "pump", "slider", "valve")
NAMES = {
    "b": "B",
    "u": "U",
    "u_fd": "U-FD",
    "ss_0.7": "SS-0.7-0.3",
    "ss_0.5": "SS-0.5-0.5",
    "ss_0.3": "SS-0.3-0.7",
    "mine": "Mine",
}
WriteRun = Callable[..., Path]


def made_scores(
    seed: int,
    shift: float = 1.0,
    machines: tuple[str, ...] = MACHINES,
    ids: tuple[str, ...] = ("00", "02"),
    normal: int = 20,
    anomaly: int = 15,
    clip_seed: int = 0,
) -> pd.DataFrame:
    """Scores of which the anomalies lie ``shift`` standard deviations higher.

    The clips' own part (``clip_seed``) is common to all runs, as hard clips are hard for all.
    """
    rows = []
    common, own = np.random.default_rng(clip_seed), np.random.default_rng(1000 + seed)
    for machine in machines:
        for machine_id in ids:
            for label, name, count in ((0, "normal", normal), (1, "anomaly", anomaly)):
                values = common.standard_normal(count) + 0.3 * own.standard_normal(count)
                values += shift * label
                for i, value in enumerate(values):
                    file = f"development/{machine}/test/{name}_id_{machine_id}_{i:08d}.wav"
                    rows.append((machine, machine_id, file, label, value))
    return pd.DataFrame(rows, columns=["machine", "id", "file", "label", "score"])


def made_config(experiment: str, seed: int, data: str, demo: bool) -> dict[str, Any]:
    """What of a composed config a report reads."""
    classes = {
        "simulated": "asd.data.simulated.Simulated",
        "dcase2020": "asd.data.dcase2020.DCASE2020",
        "folder": "asd.data.folder.Folder",
    }
    return {
        "experiment_name": experiment,
        "system": NAMES[experiment],
        "seed": seed,
        "identity": {"exclude": ["identity", "experiment_name", "system", "data.root"]},
        "scale": {"name": "small" if demo else "paper", "demo": demo},
        "data": {"_target_": classes[data], "root": "data", "ids": None, "test": "development"},
        "release": {"name": "full" if experiment == "u_fd" else "first"},
        "frontend": {"_target_": "asd.frontends.gammatone.Gammatone", "bands": 64},
        "scope": {"name": "shared"},
        "scoring": {"max_fpr": 0.1},
    }


@pytest.fixture
def write_run(tmp_path: Path) -> WriteRun:
    """``write_run("u", seed=0, shift=1.0, data="simulated", ...)`` writes a run folder."""

    def write(
        experiment: str,
        seed: int = 0,
        shift: float = 1.0,
        *,
        data: str = "simulated",
        demo: bool | None = None,
        status: str = "FINISHED",
        test_hash: str = "t0",
        overrides: str = "",
        frame: pd.DataFrame | None = None,
        runs: Path | None = None,
        name: str = "",
        **changes: Any,
    ) -> Path:
        demo = data == "simulated" if demo is None else demo
        config = made_config(experiment, seed, data, demo)
        config.update(changes)
        folder = (runs or tmp_path / "runs") / (name or f"{experiment}-{data}-seed{seed}")
        folder.mkdir(parents=True)
        label = "SIMULATED" if data == "simulated" else data
        label += ", demo scale (small)" if demo else ""
        record = {
            "status": status,
            "title": f"{NAMES[experiment]}, seed {seed}, {label}",
            "data_label": label,
            "max_fpr": 0.1,
            "data_hash": f"{data}-{config['release']['name']}",
            "datasets": [{"context": "testing", "digest": test_hash}],
            "command": f"python -m asd.train +experiment={experiment} seed={seed} {overrides}",
        }
        (folder / "run.json").write_text(json.dumps(record))
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        if frame is None:
            frame = made_scores(seed + 100 * list(NAMES).index(experiment), shift)
        write_scores(folder / "scores.csv", frame)
        return folder

    return write


@pytest.fixture
def scores() -> Callable[..., pd.DataFrame]:
    """``scores(seed, shift, ...)``: a frame of clip scores; see ``made_scores``."""
    return made_scores
