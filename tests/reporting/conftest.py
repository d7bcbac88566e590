"""Run folders with made-up scores, as trainings would leave them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from asd.reporting.bootstrap import Resampling
from asd.reporting.declaration import declaration
from asd.reporting.runs import collect_folder
from asd.reporting.sections import Section, sections
from asd.scoring.clip_scores import write_scores

MACHINES = ("ToyCar", "ToyConveyor", "fan", "pump", "slider", "valve")
NAMES = {
    "b": "B", "u": "U", "u_fd": "U-FD", "ss_0.7": "SS-0.7-0.3", "ss_0.5": "SS-0.5-0.5",
    "ss_0.3": "SS-0.3-0.7", "mine": "Mine",
}  # fmt: skip
CLASSES = {"simulated": "Simulated", "dcase2020": "DCASE2020", "folder": "Folder"}


def made_scores(
    seed: int,
    shift: float = 1.0,
    machines: tuple[str, ...] = MACHINES,
    ids: tuple[str, ...] = ("00", "02"),
    normal: int = 20,
    anomaly: int = 15,
) -> pd.DataFrame:
    """Scores of which the anomalies lie ``shift`` standard deviations higher.

    The clips' own part is common to all runs, as hard clips are hard for all.
    """
    rows = []
    common, own = np.random.default_rng(0), np.random.default_rng(1000 + seed)
    for machine in machines:
        for machine_id in ids:
            for label, name, count in ((0, "normal", normal), (1, "anomaly", anomaly)):
                values = common.standard_normal(count) + 0.3 * own.standard_normal(count)
                values += shift * label
                for i, value in enumerate(values):
                    file = f"development/{machine}/test/{name}_id_{machine_id}_{i:08d}.wav"
                    rows.append((machine, machine_id, file, label, value))
    return pd.DataFrame(rows, columns=["machine", "id", "file", "label", "score"])


@dataclass
class Runs:
    """A folder of run folders."""

    path: Path

    def write(
        self,
        experiment: str,
        seed: int = 0,
        shift: float = 1.0,
        *,
        data: str = "simulated",
        demo: bool | None = None,
        name: str = "",
        frame: pd.DataFrame | None = None,
        options: dict[str, Any] | None = None,
        **record: Any,
    ) -> Path:
        """Write one; ``options`` change its config, ``record`` its run.json."""
        demo = data == "simulated" if demo is None else demo
        release = "full" if experiment == "u_fd" else "first"
        data_class = f"asd.data.{data}.{CLASSES[data]}"
        config = {
            "experiment_name": experiment,
            "system": NAMES[experiment],
            "seed": seed,
            "identity": {"exclude": ["identity", "experiment_name", "system", "data.root"]},
            "scale": {"name": "small" if demo else "paper", "demo": demo},
            "data": {"_target_": data_class, "root": "data", "ids": None, "test": "development"},
            "release": {"name": release},
            "frontend": {"_target_": "asd.frontends.gammatone.Gammatone", "bands": 64},
            "scope": {"name": "shared"},
            "scoring": {"max_fpr": 0.1},
        }
        for group, changes in (options or {}).items():
            config[group].update(changes)
        label = "SIMULATED" if data == "simulated" else data
        tags = {
            "experiment": experiment, "system": NAMES[experiment], "seed": str(seed),
            "data": data, "simulated": str(data == "simulated").lower(), "release": release,
            "scale": config["scale"]["name"], "test": config["data"]["test"],
        }  # fmt: skip
        content = {
            "status": "FINISHED",
            "tags": tags,
            "data_label": label + (", demo scale (small)" if demo else ""),
            "data_hash": f"{data}-{release}",
            "datasets": [{"context": "testing", "digest": "t0"}],
            "command": f"python -m asd.train +experiment={experiment} seed={seed}",
        }
        folder = self.path / (name or f"{experiment}-{data}-seed{seed}")
        folder.mkdir(parents=True)
        content |= {**record, "tags": {**tags, **record.get("tags", {})}}
        (folder / "run.json").write_text(json.dumps(content))
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        if frame is None:
            frame = made_scores(seed + 100 * list(NAMES).index(experiment), shift)
        write_scores(folder / "scores.csv", frame)
        return folder

    def report(self) -> list[Section]:
        """The paper's table of them."""
        runs = collect_folder(self.path).runs
        return sections(runs, declaration("paper"), Resampling(20))


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """A folder without runs."""
    return Runs(tmp_path / "runs")


@pytest.fixture
def scores() -> Any:
    """``scores(seed, shift, ...)``: a frame of clip scores; see ``made_scores``."""
    return made_scores
