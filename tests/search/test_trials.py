"""The loop of a search, with trials that cost nothing."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import SEARCH, study_in
from optuna.storages._heartbeat import HeartbeatThread
from optuna.trial import TrialState

from asd.experiment.run_folder import RunFolder
from asd.search import storage
from asd.search.pruning import PruningListener
from asd.search.storage import connect, make_storage, patiently

Train = Callable[..., int]
Cheap = Callable[..., list[dict[str, Any]]]


def parabola(config: dict[str, Any]) -> float:
    return (math.log10(config["trainer"]["learning_rate"]) + 3) ** 2


def rates(seen: list[dict[str, Any]]) -> list[float]:
    return [config["trainer"]["learning_rate"] for config in seen]


def test_a_study_has_its_trials_and_no_more(
    run_train: Train, cheap: Cheap, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    seen = cheap(parabola)
    assert run_train(*SEARCH, "hydra.sweeper.n_trials=3") == 0
    study = study_in(tmp_path)
    assert [t.params["trainer.learning_rate"] for t in study.trials] == rates(seen)
    assert [config["search"]["trial"] for config in seen] == [0, 1, 2]
    assert {t.state for t in study.trials} == {TrialState.COMPLETE}
    assert study.user_attrs["selected_on"] == "validation clips"
    assert "SIMULATED" in study.user_attrs["data"]
    said = capfd.readouterr().err
    assert f"best: trial {study.best_trial.number}, validation_loss" in said
    assert f"trainer.learning_rate={study.best_params['trainer.learning_rate']!r}" in said

    assert run_train(*SEARCH, "hydra.sweeper.n_trials=3") == 0
    assert len(seen) == 3
    # More of them; the numbers go on, and no value comes again.
    assert run_train(*SEARCH, "hydra.sweeper.n_trials=5") == 0
    assert [config["search"]["trial"] for config in seen] == [0, 1, 2, 3, 4]
    assert len(set(rates(seen))) == 5
    rows = list(csv.DictReader((tmp_path / "runs/search" / study.study_name / "trials.csv").open()))
    assert [float(row["trainer.learning_rate"]) for row in rows] == rates(seen)

    # Another question is another study; a resumed search is what it would have been in one go.
    again = cheap(parabola)
    assert run_train(*SEARCH, "hydra.sweeper.n_trials=5", "paths.runs=other") == 0
    assert rates(again) == rates(seen)
    assert run_train(*SEARCH, "hydra.sweeper.n_trials=1", "model.dropout=0.1") == 0
    assert run_train(*SEARCH, "model.dropout=0.2", f"hydra.sweeper.study_name={study.study_name}")
    said = capfd.readouterr().err
    assert "made for another search: model.dropout was 0.0, now 0.2" in said


def test_failed_trials_are_recorded_and_not_fatal(
    run_train: Train, cheap: Cheap, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    numbers = iter([0.5, RuntimeError("no memory"), math.nan, math.inf, 0.25])

    def moody(config: dict[str, Any]) -> float:
        value = next(numbers)
        if isinstance(value, Exception):
            raise value
        return value

    cheap(moody)
    options = ["hydra.sweeper.n_trials=5", "hydra.sweeper.max_failure_rate=1"]
    assert run_train(*SEARCH, *options) == 0
    study = study_in(tmp_path)
    states = [t.state.name for t in study.trials]
    assert states == ["COMPLETE", "FAIL", "FAIL", "FAIL", "COMPLETE"]
    assert "no memory" in study.trials[1].user_attrs["error"]
    assert study.best_trial.number == 4
    said = capfd.readouterr().err
    assert "2 complete, 3 fail" in said
    assert "run again: python -m asd.train" in said
    assert "search.trial" not in said.split("run again", 1)[1]


def test_a_search_that_only_fails_stops(run_train: Train, cheap: Cheap, tmp_path: Path) -> None:
    seen = cheap(parabola)
    # Refused, each of them: never run.
    code = run_train(*SEARCH, "trainer.batch_size=choice(0, 1)", "hydra.sweeper.failure_grace=3")
    assert (code, seen) == (2, [])
    states = [t.state.name for t in study_in(tmp_path).trials]
    assert states == ["FAIL"] * 3 + ["WAITING"] * 17

    def broken(config: dict[str, Any]) -> float:
        raise RuntimeError("always")

    seen = cheap(broken)
    assert run_train(*SEARCH, "hydra.sweeper.failure_grace=2", "paths.runs=other") == 1
    assert len(seen) == 2


def listener(folder: Path, search: dict[str, Any], models: list[str]) -> PruningListener:
    """Of a run that begins, and may train each model for four epochs."""
    folder.mkdir(parents=True, exist_ok=True)
    pruning = PruningListener(search, epochs=4, best=True)
    pruning.started(RunFolder(folder), models)
    return pruning


def reporting(config: dict[str, Any]) -> float:
    """Four epochs, each of them reported, as a run would."""
    pruning = listener(Path("runs", f"trial{config['search']['trial']}"), config["search"], ["all"])
    for epoch in range(4):
        loss = parabola(config) + 4 - epoch
        pruning.epoch_ended("all", epoch, {"val/loss": loss})
    return loss


@pytest.mark.parametrize("pruner", ["median", "percentile", "hyperband", "none"])
def test_hopeless_trials_are_pruned_by_epoch(
    pruner: str, run_train: Train, cheap: Cheap, tmp_path: Path
) -> None:
    cheap(reporting)
    options = ["hydra.sweeper.n_trials=8", f"hydra/sweeper/pruner={pruner}"]
    if pruner in ("median", "percentile"):
        options += [
            f"hydra.sweeper.pruner.n_{kind}=1" for kind in ("startup_trials", "warmup_steps")
        ]
    assert run_train(*SEARCH, *options) == 0
    trials = study_in(tmp_path).trials
    pruned = [t for t in trials if t.state == TrialState.PRUNED]
    assert bool(pruned) == (pruner != "none")
    assert pruner == "hyperband" or all(t.last_step < 3 for t in pruned)
    assert all(t.last_step == 3 for t in trials if t.state == TrialState.COMPLETE)
    assert not [t for t in trials if t.state == TrialState.FAIL]


def test_ctrl_c_and_death_lose_no_trial(run_train: Train, cheap: Cheap, tmp_path: Path) -> None:
    stops = iter([False, True, False])

    def stopped(config: dict[str, Any]) -> float:
        if next(stops, False):
            raise KeyboardInterrupt
        return parabola(config)

    seen = cheap(stopped)
    quick = ["hydra.sweeper.heartbeat_seconds=1", "hydra.sweeper.dead_after_seconds=2"]
    assert run_train(*SEARCH, *quick, "hydra.sweeper.n_trials=5") == 130
    study = study_in(tmp_path)
    states = [t.state.name for t in study.trials]
    assert states == ["COMPLETE"] + ["WAITING"] * 4

    # One worker has died, another lives, and goes on doing so.
    workers = connect(f"sqlite:///{tmp_path}/runs/optuna.db", 1, 2)
    dead, alive = (study.trials[number]._trial_id for number in (2, 4))
    for trial_id in (dead, alive):
        workers.record_heartbeat(trial_id)
        assert workers.set_trial_state_values(trial_id, TrialState.RUNNING)
    with HeartbeatThread(alive, workers):
        assert run_train(*SEARCH, *quick, "hydra.sweeper.n_trials=5") == 0
    assert [config["search"]["trial"] for config in seen] == [0, 1, 1, 3, 2]
    assert rates(seen)[1] == rates(seen)[2]
    states = [t.state.name for t in study_in(tmp_path).trials]
    assert states == ["COMPLETE"] * 4 + ["RUNNING"]


def test_a_trial_that_takes_its_workers_down_has_failed(
    run_train: Train, cheap: Cheap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def died(config: dict[str, Any]) -> float:
        folder = RunFolder(tmp_path / "runs" / study_in(tmp_path).trials[0].user_attrs["run"])
        folder.path.mkdir()
        folder.update(status="RUNNING", deaths={"now": 2})
        raise KeyboardInterrupt

    cheap(died)
    assert run_train(*SEARCH, "hydra.sweeper.n_trials=2") == 130
    seen = cheap(parabola)
    monkeypatch.setenv("ASD_WORKER", "now")
    assert run_train(*SEARCH, "hydra.sweeper.n_trials=2") == 0
    first, second = study_in(tmp_path).trials
    assert (first.state, second.state) == (TrialState.FAIL, TrialState.COMPLETE)
    assert "its process died 3 times" in first.user_attrs["error"]
    assert len(seen) == 1


def test_several_objectives(
    run_train: Train, cheap: Cheap, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cheap(lambda config: [parabola(config), config["trainer"]["learning_rate"]], draw=True)
    options = ["hydra.sweeper.n_trials=6", "search.objectives=[validation_loss,test_auc]"]
    assert run_train(*SEARCH, *options) == 0
    study = study_in(tmp_path)
    assert [d.name for d in study.directions] == ["MINIMIZE", "MAXIMIZE"]
    assert study.metric_names == ["validation_loss", "test_auc"]
    assert study.user_attrs["selected_on"] == "test clips"
    folder = tmp_path / "runs/search" / study.study_name
    assert (folder / "pareto_front.png").exists()
    assert "*** SELECTED ON TEST CLIPS" in capfd.readouterr().err


@pytest.mark.parametrize("sampler", ["tpe", "qmc", "gp", "nsgaii"])
def test_every_sampler_works(sampler: str, run_train: Train, cheap: Cheap, tmp_path: Path) -> None:
    seen = cheap(parabola)
    given = [a for a in SEARCH if "sampler" not in a]
    few = ["hydra.sweeper.sampler.n_startup_trials=2"] if sampler in ("tpe", "gp") else []
    chosen = [f"hydra/sweeper/sampler={sampler}", "hydra/sweeper/pruner=none", *few]
    assert run_train(*given, *chosen, "hydra.sweeper.n_trials=4", "trainer.batch_size=4,8") == 0
    assert len(set(rates(seen))) == 4


def test_options_that_cannot_be_used(
    run_train: Train, cheap: Cheap, capfd: pytest.CaptureFixture[str]
) -> None:
    cheap(parabola)
    for option, said in {
        "hydra.sweeper.n_trials=0": "n_trials=0: must be a whole number",
        "hydra.sweeper.max_failure_rate=2": "max_failure_rate=2: must be a number from 0 to 1",
        "hydra.sweeper.heartbeat_seconds=200": "dead_after_seconds=60: must be a whole number 400",
        "hydra.sweeper.custom_search_space=no.such": "no such function",
        "search.objectives=[test_acu]": "did you mean test_auc",
        "+hydra.sweeper.n_trial=1": "unexpected keyword argument 'n_trial'",
        "hydra.sweeper.study_name=a/b": "names a folder too",
        "+hydra.sweeper.sampler.sede=1": "hydra.sweeper.sampler",
        "hydra.sweeper.storage=sqlite:////proc/none/x.db": "x.db",
    }.items():
        assert run_train(*SEARCH, option) == 2, option
        error = capfd.readouterr().err
        assert said in error
        assert "Traceback" not in error


def extend(config: Any, trial: Any) -> None:
    """A batch size that depends on the learning rate."""
    high = 8 if trial.params["trainer.learning_rate"] > 1e-3 else 4
    trial.suggest_int("trainer.batch_size", 2, high)


def test_a_search_space_of_ones_own(run_train: Train, cheap: Cheap, tmp_path: Path) -> None:
    seen = cheap(parabola)
    option = "hydra.sweeper.custom_search_space=test_trials.extend"
    assert run_train(*SEARCH, option, "hydra.sweeper.n_trials=3") == 0
    sizes = [config["trainer"]["batch_size"] for config in seen]
    assert sizes == [t.params["trainer.batch_size"] for t in study_in(tmp_path).trials]
    assert run_train(*SEARCH, option, "trainer.batch_size=4", "hydra.sweeper.n_trials=3") == 2


def test_a_storage_that_is_away_does_not_stop_training(tmp_path: Path) -> None:
    search = {
        "storage": f"sqlite:///{tmp_path / 'none' / 'optuna.db'}", "study": "s", "trial": 0,
        "objectives": ["validation_loss"], "untrained_loss": 1.0,
    }  # fmt: skip
    pruning = listener(tmp_path, search, ["fan", "pump"])
    pruning.model_started("fan", [{"epoch": 0.0, "val/loss": 0.5}])
    for epoch in (1, 2):
        pruning.epoch_ended("fan", epoch, {"val/loss": 0.5 + epoch})
    # What will be told later: of two models one is not begun, and the best epoch counts.
    assert pruning._waiting == {0: 0.75, 1: 0.75, 2: 0.75}
    pruning.epoch_ended("pump", 0, {"val/loss": 0.3})
    assert pruning._waiting[4] == pytest.approx(0.4)


def test_a_storage_that_is_away_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(storage, "_PAUSE", 0.01)
    url, calls = f"sqlite:///{tmp_path / 'away' / 'optuna.db'}", iter(range(10))

    def action() -> int:
        if next(calls) == 2:
            make_storage(url)
        return len(connect(url).get_all_studies())

    assert patiently(url, action) == 0
    (said,) = caplog.messages
    assert url in said
    assert "trying again" in said


def test_tags_of_trials(tmp_path: Path) -> None:
    """Test clips that had a say are never forgotten; an old pruning is."""
    search = {"study": "s", "trial": 3, "objectives": ["test_auc"], "untrained_loss": 1.0}
    folder = RunFolder(tmp_path)
    folder.update(tags={"system": "U", "pruned": "pruned after epoch 2"})
    chosen = {"system": "U", "study": "s", "trial": "3", "selected_on": "test clips"}
    listener(tmp_path, search, ["all"])
    assert folder.record()["tags"] == chosen
    listener(tmp_path, {**search, "trial": None, "objectives": ["parameters"]}, ["all"])
    assert folder.record()["tags"] == chosen
    later = PruningListener({**search, "trial": 4, "objectives": ["validation_loss"]}, 4, best=True)
    later.finished_before(folder)
    assert folder.record()["tags"] == {**chosen, "trial": "4"}
