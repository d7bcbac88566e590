"""What of a config becomes a run's params and its name."""

from __future__ import annotations

from asd.experiment.run_labels import run_name, run_params

CONFIG = {
    "system": "B",
    "seed": 3,
    "paths": {"data": "/d"},
    "identity": {"exclude": ["paths", "trainer.threads"]},
    "scale": {"name": "tiny", "filters": [4], "window_seconds": 1.0, "max_epochs": 2},
    "model": {"_target_": "asd.models.dense.Dense", "filters": [4], "embedding": 16},
    "window": {"seconds": 1.0},
    "trainer": {"max_epochs": 5, "threads": 1},
}


def test_params_are_what_runs_differ_in() -> None:
    command = "python -m asd.train +experiment=b model.embedding=16 paths.data=/d trainer.threads=1"
    delta = {
        "paths.data": "/d", "scale.name": "tiny", "scale.filters": [4], "model.filters": [4],
        "model._target_": "asd.models.dense.Dense", "window.seconds": 1.0, "trainer.max_epochs": 5,
        "seed": 3,
    }  # fmt: skip
    params = run_params(CONFIG, delta, command)
    assert params == {
        "system": "B", "seed": 3, "model.embedding": 16, "scale.name": "tiny", "model": "Dense",
        "trainer.max_epochs": 5,
    }  # fmt: skip
    assert run_name("B seed 3", command, params) == "B seed 3, embedding 16"
