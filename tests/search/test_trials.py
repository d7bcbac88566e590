"""The loop of a search, with trials that cost nothing."""

from __future__ import annotations

import csv
import math
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import SEARCH, not_a_process, study_in
from optuna.trial import TrialState

from asd.search.reports import Reports

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
    assert "2 completed, 3 failed" in said
    assert "run again: python -m asd.train" in said
    assert "search.trial" not in said.split("run again", 1)[1]


def test_a_search_that_only_fails_stops(run_train: Train, cheap: Cheap, tmp_path: Path) -> None:
    seen = cheap(parabola)
    # Refused, each of them: never run.
    code = run_train(*SEARCH, "trainer.batch_size=choice(0, 1)", "hydra.sweeper.failure_grace=3")
    assert (code, seen) == (2, [])
    assert [t.state for t in study_in(tmp_path).trials] == [TrialState.FAIL] * 3

    def broken(config: dict[str, Any]) -> float:
        raise RuntimeError("always")

    seen = cheap(broken)
    assert run_train(*SEARCH, "hydra.sweeper.failure_grace=2", "paths.runs=other") == 1
    assert len(seen) == 2


def reporting(config: dict[str, Any]) -> float:
    """Four epochs, each of them reported, as a run would."""
    reports = Reports(config["search"], ["shared"], 4, best=True)
    for epoch in range(4):
        loss = parabola(config) + 4 - epoch
        reports.epoch("shared", epoch, {"val/loss": loss})
    return loss


def test_hopeless_trials_are_pruned_by_epoch(
    run_train: Train, cheap: Cheap, tmp_path: Path
) -> None:
    cheap(reporting)
    options = ["hydra.sweeper.pruner.n_startup_trials=2", "hydra.sweeper.pruner.n_warmup_steps=1"]
    assert run_train(*SEARCH, "hydra.sweeper.n_trials=8", *options) == 0
    trials = study_in(tmp_path).trials
    pruned = [t for t in trials if t.state == TrialState.PRUNED]
    assert pruned
    assert all(1 <= t.last_step < 3 for t in pruned)
    assert all(t.last_step == 3 for t in trials if t.state == TrialState.COMPLETE)


def test_ctrl_c_and_death_lose_no_trial(run_train: Train, cheap: Cheap, tmp_path: Path) -> None:
    stops = iter([False, True, False])

    def stopped(config: dict[str, Any]) -> float:
        if next(stops, False):
            raise KeyboardInterrupt
        return parabola(config)

    seen = cheap(stopped)
    assert run_train(*SEARCH, "hydra.sweeper.n_trials=4") == 130
    study = study_in(tmp_path)
    assert [t.state.name for t in study.trials] == ["COMPLETE", "RUNNING"]

    # Trials of: a worker that was killed; one that lives; one elsewhere that has been silent; one
    # elsewhere that has not.
    here, away = socket.gethostname(), "another-machine"
    began = psutil.Process().create_time()
    for claim in (
        not_a_process(),
        {"host": here, "pid": os.getpid(), "began": began - 100},
        {"host": here, "pid": os.getppid(), "began": psutil.Process(os.getppid()).create_time()},
        {"host": away, "pid": 1, "began": 0.0},
        {"host": away, "pid": 2, "began": 0.0},
    ):
        study.ask().set_user_attr("worker", claim)
    study.set_user_attr(f"heartbeat {away} 1", 1.0)
    study.set_user_attr(f"heartbeat {away} 2", 4e9)
    assert run_train(*SEARCH, "hydra.sweeper.n_trials=7") == 0
    ran = [config["search"]["trial"] for config in seen]
    assert ran == [0, 1, 1, 2, 3, 5]
    assert rates(seen)[1] == rates(seen)[2]
    states = [t.state.name for t in study_in(tmp_path).trials]
    assert [i for i, state in enumerate(states) if state == "RUNNING"] == [4, 6]


def test_several_objectives(run_train: Train, cheap: Cheap, tmp_path: Path) -> None:
    cheap(lambda config: [parabola(config), config["trainer"]["learning_rate"]], draw=True)
    options = ["hydra.sweeper.n_trials=6", "search.objectives=[validation_loss,test_auc]"]
    assert run_train(*SEARCH, *options, "hydra.sweeper.direction=[minimize,maximize]") == 0
    study = study_in(tmp_path)
    assert [d.name for d in study.directions] == ["MINIMIZE", "MAXIMIZE"]
    assert study.metric_names == ["validation_loss", "test_auc"]
    assert study.user_attrs["selected_on"] == "test clips"
    folder = tmp_path / "runs/search" / study.study_name
    assert (folder / "pareto_front.png").exists()
    assert run_train(*SEARCH, *options, "hydra.sweeper.direction=minimize") == 2


@pytest.mark.parametrize("sampler", ["tpe", "qmc", "gp", "nsgaii"])
def test_every_sampler_works(sampler: str, run_train: Train, cheap: Cheap, tmp_path: Path) -> None:
    seen = cheap(parabola)
    given = [a for a in SEARCH if "sampler" not in a]
    few = ["hydra.sweeper.sampler.n_startup_trials=2"] if sampler in ("tpe", "gp") else []
    chosen = [f"hydra/sweeper/sampler={sampler}", "hydra/sweeper/pruner=none", *few]
    assert run_train(*given, *chosen, "hydra.sweeper.n_trials=4", "trainer.batch_size=4,8") == 0
    assert len(set(rates(seen))) == 4


@pytest.mark.parametrize("pruner", ["median", "percentile", "hyperband"])
def test_every_pruner_works(pruner: str, run_train: Train, cheap: Cheap, tmp_path: Path) -> None:
    cheap(reporting)
    options = [f"hydra/sweeper/pruner={pruner}", "hydra.sweeper.n_trials=2"]
    assert run_train(*SEARCH, *options) == 0
    assert not [t for t in study_in(tmp_path).trials if t.state == TrialState.FAIL]


def test_options_that_cannot_be_used(
    run_train: Train, cheap: Cheap, capfd: pytest.CaptureFixture[str]
) -> None:
    cheap(parabola)
    for option, said in {
        "hydra.sweeper.n_trials=0": "n_trials=0: must be a whole number",
        "hydra.sweeper.max_failure_rate=2": "max_failure_rate=2: must be a number from 0 to 1",
        "hydra.sweeper.heartbeat_seconds=200": "at least twice",
        "hydra.sweeper.custom_search_space=no.such": "no such function",
        "search.objectives=[test_acu]": "did you mean test_auc",
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
        "pruner": {"_target_": "optuna.pruners.NopPruner"},
    }  # fmt: skip
    reports = Reports(search, ["fan", "pump"], 3, best=True)
    for epoch in range(3):
        reports.epoch("fan", epoch, {"val/loss": 0.5 + epoch})
    # What will be told later: of two models one is not begun, and the best epoch counts.
    assert reports._waiting == {0: 0.75, 1: 0.75, 2: 0.75}
    reports.epoch("pump", 0, {"val/loss": 0.3})
    assert reports._waiting[3] == pytest.approx(0.4)
