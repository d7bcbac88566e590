"""Run folders with made-up scores, as trainings would leave them."""

from __future__ import annotations

import functools
import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from asd.composition import command_of, compose_config, plain
from asd.reporting.bootstrap import Resampling
from asd.reporting.declaration import declaration
from asd.reporting.runs import collect_folder
from asd.reporting.sections import Section, corpora
from asd.scoring.clip_scores import write_scores

MACHINES = ("ToyCar", "ToyConveyor", "fan", "pump", "slider", "valve")
EXPERIMENTS = ("b", "u", "u_fd", "ss_0.7", "ss_0.5", "ss_0.3", "u_half")


@functools.cache
def composed(*overrides: str) -> str:
    """The config that these overrides give, as YAML."""
    return yaml.safe_dump(plain(compose_config(overrides)))


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
                for i, value in enumerate(values + shift * label):
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
        name: str = "",
        frame: pd.DataFrame | None = None,
        options: str = "",
        **record: Any,
    ) -> Path:
        """Write one; ``options`` are typed after the experiment, ``record`` changes run.json."""
        typed = [f"+experiment={experiment}", f"data={data}", *shlex.split(options)]
        config = {**yaml.safe_load(composed(*typed)), "seed": seed}
        scale, simulated = config["scale"], data == "simulated"
        tags = {
            "experiment": config["experiment_name"], "system": config["system"], "seed": str(seed),
            "data": data, "simulated": str(simulated).lower(), "scale": scale["name"],
            "test": config["data"]["test"],
        }  # fmt: skip
        label = "SIMULATED" if simulated else data
        content = {
            "status": "FINISHED",
            "data_label": label + (f", demo scale ({scale['name']})" if scale["demo"] else ""),
            "data_hash": data,
            "datasets": [{"context": "testing", "digest": "t0"}],
            "command": command_of([*typed, f"seed={seed}"]),
            **record,
            "tags": {**tags, **record.get("tags", {})},
        }
        folder = self.path / (name or f"{experiment}-{data}-seed{seed}")
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps(content))
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        if frame is None:
            frame = made_scores(seed + 100 * EXPERIMENTS.index(experiment), shift)
        write_scores(folder / "scores.csv", frame)
        return folder

    def report(self, sweep: str = "paper") -> list[Section]:
        """A sweep's table of them."""
        groups = corpora(collect_folder(self.path).runs)
        how = declaration(sweep), Resampling(20)
        return [Section(label, runs, *how) for label, runs in groups.items()]


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """A folder without runs."""
    return Runs(tmp_path / "runs")


@pytest.fixture
def scores() -> Any:
    """``scores(seed, shift, ...)``: a frame of clip scores; see ``made_scores``."""
    return made_scores
