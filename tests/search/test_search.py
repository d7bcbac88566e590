"""Searches as a user runs them: real training, killed processes, several workers."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib.image
import pytest
from conftest import SEARCH, study_in
from mlflow import MlflowClient
from optuna.trial import TrialState
from postgres import PASSWORD, Postgres

from asd.experiment.history import read_history
from asd.experiment.run_folder import RunFolder
from asd.sweeps.__main__ import main as sweeps

Train = Callable[..., int]
UNTRACKED = ["tracking=off", "trainer.learning_rate=tag(log, interval(1e-4, 1e-2))"]
LONG = ["trainer.stop_patience=null", "hydra/sweeper/pruner=none"]
QUICK = "hydra.sweeper.dead_after_seconds=3"
ONE = "hydra.launcher.n_jobs=1"
# A rate that learns and one that is too high, in an order that the sampler's seed decides.
TWO = ["trainer.learning_rate=choice(3e-3, 0.5)", "trainer.max_epochs=4"]
PRUNE = ["hydra.sweeper.pruner.n_startup_trials=1", "hydra.sweeper.pruner.n_warmup_steps=1"]


def real(*more: str) -> list[str]:
    kept = [a for a in SEARCH if not a.startswith(("tracking", "trainer.learning_rate"))]
    return [*kept, *more]


def started(shared_data: list[str], folder: Path, *options: str) -> subprocess.Popen[str]:
    """A search in a process of its own, whose output can be read."""
    command = [sys.executable, "-m", "asd.train", "-m", *shared_data, *options[1:]]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def runs_in(folder: Path) -> list[RunFolder]:
    return [RunFolder(path.parent) for path in sorted((folder / "runs").glob("*/run.json"))]


def epochs_by(folder: Path, pid: int) -> tuple[RunFolder, int] | None:
    """The run that a process works on, and how many epochs it has had."""
    for run in runs_in(folder):
        if run.record()["pid"] == pid:
            return run, len(read_history(run.model("shared") / "history.csv"))
    return None


def test_a_search_prunes_by_epoch_and_a_pruned_run_can_go_on(
    run_train: Train, shared_data: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = real(*TWO, *PRUNE, "hydra.sweeper.n_trials=4", "hydra.sweeper.sampler.seed=3")
    # Of the two runs that there can be one is good; a trial that repeats one returns at once.
    assert run_train(*options) == 0
    study = study_in(tmp_path)
    states = [t.state for t in study.trials]
    assert set(states) == {TrialState.COMPLETE, TrialState.PRUNED}
    assert study.best_params == {"trainer.learning_rate": 3e-3}
    assert len(runs_in(tmp_path)) == 2

    pruned = next(r for r in runs_in(tmp_path) if r.record()["pruned"])
    record = pruned.record()
    assert (record["status"], record["pruned"]) == ("KILLED", 2)
    assert len((pruned.model("shared") / "history.csv").read_text().splitlines()) == 3
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlruns' / 'mlflow.db'}")
    run = client.get_run(record["mlflow"]["run_id"])
    assert run.info.status == "KILLED"
    assert run.data.tags["pruned"] == "pruned after epoch 2"
    assert run.data.tags["selected_on"] == "validation clips"
    assert run.data.tags["study"] == study.study_name

    folder = tmp_path / "runs/search" / study.study_name
    drawn = {path.name for path in folder.glob("*.png")}
    assert drawn == {"search.png"}
    for name in drawn:
        assert matplotlib.image.imread(folder / name)[..., :3].std() > 0.05, name
    said = capfd.readouterr().err
    assert "pruned after epoch 2" in said
    assert "AUC" not in said

    asked = [*shared_data, *options[1:]]
    assert sweeps(["status", *asked]) == 0
    assert f"study {study.study_name}: " in (said := capfd.readouterr().out)
    assert "best: trial " in said
    assert sweeps(["status", *asked, "trainer.batch_size=4"]) == 0
    assert ": not begun" in capfd.readouterr().out

    # By hand it is trained to its end, from where it stood; then it is a trial like others.
    command = record["command"].split()[3:]
    assert not [word for word in command if word.startswith(("search.", "if_running"))]
    assert run_train("+experiment=u", "data.machines=[fan]", *TWO[1:],
                     "trainer.learning_rate=0.5") == 0  # fmt: skip
    assert pruned.record()["status"] == "FINISHED"
    assert "going on at epoch 2" in pruned.log_file.read_text()
    assert "pruned" not in client.get_run(run.info.run_id).data.tags

    # Chosen by test clips, by name only: each of its runs says so, finished before or not.
    assert run_train(*options, "search.objectives=[test_auc]", "hydra.sweeper.n_trials=3") == 0
    assert "SELECTED ON TEST CLIPS" in capfd.readouterr().err
    assert client.get_run(run.info.run_id).data.tags["selected_on"] == "test clips"


def test_runs_that_were_finished_elsewhere_stand_in_the_searchs_list_too(
    run_train: Train, tmp_path: Path
) -> None:
    run = ["+experiment=u", "data.machines=[fan]", "trainer.max_epochs=1"]
    assert run_train(*run, "trainer.learning_rate=3e-3") == 0
    search = ["-m", "hydra/sweeper=optuna", *run, "tracking.experiment=searched"]
    varied = ["trainer.learning_rate=choice(3e-3)", "hydra.sweeper.n_trials=1"]
    assert run_train(*search, *varied) == 0
    (folder,) = runs_in(tmp_path)
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlruns' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("searched")
    assert experiment is not None
    (listed,) = client.search_runs([experiment.experiment_id])
    assert listed.data.tags["copy_of"] == folder.record()["mlflow"]["run_id"]
    assert listed.data.tags["study"] == study_in(tmp_path).study_name
    assert listed.data.metrics["auc/mean"] > 0


def test_what_is_not_trained_has_no_validation_loss_to_search_by(
    run_train: Train, capfd: pytest.CaptureFixture[str]
) -> None:
    options = ["-m", "hydra/sweeper=optuna", "+experiment=knn", "scoring.back_end.k=choice(1,2)"]
    assert run_train(*options) == 2
    assert "model=none trains nothing, and has no validation loss" in capfd.readouterr().err


def test_two_starts_share_a_study_and_one_is_killed(
    postgres: Postgres, shared_data: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the same moment, on a database without tables; the other's worker takes its trial up."""
    postgres.psql("postgres", "-c", "CREATE DATABASE optuna")
    url = f"postgresql://mlflow@127.0.0.1:{postgres.port}/optuna"
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    few = ["trainer.max_epochs=80", "hydra.sweeper.n_trials=2", f"hydra.sweeper.storage={url}"]
    options = real(*UNTRACKED, *LONG, QUICK, *few)
    starts = [started(shared_data, tmp_path, *options)]
    starts += [started(shared_data, tmp_path, *options, "hydra/launcher=joblib", ONE)]
    # Both train when one is killed, unless the other's worker is so slow to start that the first
    # would end: on busy cores it is.
    while not (first := epochs_by(tmp_path, starts[0].pid)) or (
        first[1] < 40 and (first[1] < 4 or len(runs_in(tmp_path)) < 2)
    ):
        assert not [start.communicate()[0] for start in starts if start.poll() is not None]
        time.sleep(0.02)
    lost, _ = first
    starts[0].kill()
    output = [start.communicate(timeout=300)[0] for start in starts]
    assert [start.returncode for start in starts] == [-signal.SIGKILL, 0], output
    assert PASSWORD not in "".join(output)

    trials = study_in(tmp_path, url).trials[:2]
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 2
    assert len({trial.params["trainer.learning_rate"] for trial in trials}) == 2
    workers = {folder.record()["pid"] for folder in runs_in(tmp_path)}
    assert len(workers) == 1
    assert not workers & {start.pid for start in starts}
    assert len(runs_in(tmp_path)) == 2
    (taken_up,) = [trial for trial in trials if trial.user_attrs["run"] == lost.path.name]
    assert taken_up.user_attrs["deaths"] >= 1
    assert "going on at epoch" in lost.log_file.read_text()
    assert sorted(taken_up.intermediate_values) == list(range(80))
