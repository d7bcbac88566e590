"""A trained model is scored in other ways without a second training."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from asd.experiment.run_folder import RunFolder

ALL = ("+experiment=u_per_machine", "data.machines=[fan,pump]", "tracking=off")


def runs_of(folder: Path) -> dict[str, RunFolder]:
    found = [RunFolder(path.parent) for path in folder.glob("*/run.json")]
    return {run.record()["identity"]: run for run in found}


def trained(run: RunFolder) -> list[bool]:
    return [(model / "last.ckpt").exists() for model in run.models()]


@pytest.mark.parametrize(
    "other", [["scoring=mse_db"], ["scoring=knn", "scoring.vectors=embedding"]], ids=["", "knn"]
)
def test_other_scores_of_a_trained_model_are_those_of_a_run_of_its_own(
    other: list[str], run_train: Callable[..., int], tmp_path: Path
) -> None:
    shared, alone = tmp_path / "runs", tmp_path / "alone"
    assert run_train(*ALL) == 0
    before = runs_of(shared)
    (first,) = before.values()
    assert run_train(*ALL, *other) == 0
    (anew,) = (run for name, run in runs_of(shared).items() if name not in before)
    assert f"fan: trained by {first.path.name}, scored anew" in anew.log_file.read_text()
    assert trained(first) == [True, True] and trained(anew) == [False, False]
    assert anew.record()["trained_by"] == dict.fromkeys(["fan", "pump"], first.path.name)
    assert anew.record()["threads"] == first.record()["threads"]
    for name in ("fan", "pump"):
        histories = [run.model(name) / "history.csv" for run in (first, anew)]
        assert histories[0].read_bytes() == histories[1].read_bytes()

    assert run_train(*ALL, *other, f"paths.runs={alone}") == 0
    (own,) = runs_of(alone).values()
    assert trained(own) == [True, True]
    assert anew.scores.read_bytes() == own.scores.read_bytes() != first.scores.read_bytes()

    # The pAUC's p is another table of the same clips; other data or training is another model.
    assert run_train(*ALL, "scoring.max_fpr=0.2") == 0
    assert run_train(*ALL, "seed=1") == 0
    by_command = {run.record()["command"].split()[-1]: run for run in runs_of(shared).values()}
    assert trained(by_command["scoring.max_fpr=0.2"]) == [False, False]
    assert by_command["scoring.max_fpr=0.2"].scores.read_bytes() == first.scores.read_bytes()
    assert trained(by_command["seed=1"]) == [True, True]


def test_one_training_scored_in_many_ways_makes_runs_beside_each_other(
    run_train: Callable[..., int], tmp_path: Path
) -> None:
    ways = ["mse", "mse_median", "mse_std", "mse_gwrp", "knn"]
    options = (f"scoring={','.join(ways)}", "data.machines=[fan]")
    assert run_train("-m", "+experiment=u", *options) == 0
    runs = runs_of(tmp_path / "runs").values()
    assert len(runs) == len(ways)
    assert sum(any(trained(run)) for run in runs) == 1
    assert len({run.record()["training"] for run in runs}) == 1
    assert len({run.scores.read_bytes() for run in runs}) == len(ways)
    with closing(sqlite3.connect(tmp_path / "mlruns" / "mlflow.db")) as database:
        logged = sorted(name for (name,) in database.execute("select name from runs"))
    for way, name in zip(sorted(ways[1:]), logged[1:], strict=True):
        assert name.startswith(f"U seed 0, scoring {way},")


def test_force_trains_although_another_run_has_the_model(
    run_train: Callable[..., int], tmp_path: Path
) -> None:
    assert run_train(*ALL) == 0
    assert run_train(*ALL, "scoring=mse_db", "force=true") == 0
    assert all(all(trained(run)) for run in runs_of(tmp_path / "runs").values())


def test_a_damaged_model_is_not_taken_and_nothing_is_said_of_one_that_was_lost(
    run_train: Callable[..., int], tmp_path: Path
) -> None:
    assert run_train(*ALL) == 0
    before = runs_of(tmp_path / "runs")
    (first,) = before.values()
    damaged = first.model("fan") / "model.ckpt"
    damaged.write_bytes(damaged.read_bytes()[:999])
    assert run_train(*ALL, "scoring=mse_db") == 0
    (anew,) = (run for name, run in runs_of(tmp_path / "runs").items() if name not in before)
    assert trained(anew) == [True, False]
    assert anew.record()["trained_by"] == {"pump": first.path.name}
    assert f"not taken: {damaged}" in anew.log_file.read_text()

    # It broke off before it had kept pump's, which is gone by the time it is resumed.
    anew.update(status="KILLED", threads={"fan": [1], "pump": [7]})
    for model in (anew.model("pump"), first.model("pump")):
        shutil.rmtree(model)
    assert run_train(*ALL, "scoring=mse_db") == 0
    assert trained(anew) == [True, True] and anew.record()["trained_by"] == {}
    assert 7 not in anew.record()["threads"]["pump"]
