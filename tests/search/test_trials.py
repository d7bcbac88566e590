"""The loop of a search, with trials that cost nothing."""

from __future__ import annotations

import csv
import math
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from conftest import SEARCH, study_in
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.storages._heartbeat import HeartbeatThread
from optuna.trial import TrialState, create_trial

from asd.experiment.history import write_history
from asd.experiment.run_folder import RunFolder
from asd.search.pruning import PruningListener, current_trial
from asd.search.storage import connect

Train = Callable[..., int]
Cheap = Callable[..., list[dict[str, Any]]]


def parabola(config: dict[str, Any]) -> float:
    return (math.log10(config["trainer"]["learning_rate"]) + 3) ** 2


def rates(seen: list[dict[str, Any]]) -> list[float]:
    return [config["trainer"]["learning_rate"] for config in seen]


def states(folder: Path) -> list[str]:
    return [trial.state.name for trial in study_in(folder).trials]


def test_a_study_has_its_trials_and_no_more(
    run_train: Train, cheap: Cheap, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    seen = cheap(parabola)
    for _ in range(2):
        assert run_train(*SEARCH, "hydra.sweeper.n_trials=3") == 0
    assert [config["trial"] for config in seen] == [0, 1, 2]
    # More of them; the numbers go on, and no value comes again.
    assert run_train(*SEARCH, "hydra.sweeper.n_trials=5") == 0
    assert [config["trial"] for config in seen] == [0, 1, 2, 3, 4]
    assert len(set(rates(seen))) == 5
    study = study_in(tmp_path)
    assert [t.params["trainer.learning_rate"] for t in study.trials] == rates(seen)
    assert {t.state for t in study.trials} == {TrialState.COMPLETE}
    assert study.user_attrs["selected_on"] == "validation clips"
    assert "SIMULATED" in study.user_attrs["data"]
    rows = list(csv.DictReader((tmp_path / "runs/search" / study.study_name / "trials.csv").open()))
    assert [float(row["trainer.learning_rate"]) for row in rows] == rates(seen)
    said = capfd.readouterr().err
    assert f"best: trial {study.best_trial.number}, validation_loss" in said
    again = said.rsplit("run again: python -m asd.train", 1)[1]
    assert f"trainer.learning_rate={study.best_params['trainer.learning_rate']!r}" in again
    assert rates(seen) == [float(f"{rate:.4g}") for rate in rates(seen)]
    assert "search.trial" not in again

    # A resumed search is what it would have been in one go; another question is another study.
    other = cheap(parabola)
    assert run_train(*SEARCH, "hydra.sweeper.n_trials=5", "paths.runs=other") == 0
    assert rates(other) == rates(seen)
    one = ["hydra.sweeper.n_trials=1", "hydra.sweeper.study_name=mine", "paths.runs=third"]
    for question in ("model.dropout=0.2", "trainer.batch_size=4,8"):
        assert run_train(*SEARCH, question, *one) == 0
    assert len(list((tmp_path / "third/search").glob("mine-*/trials.csv"))) == 2


def test_failed_trials_are_recorded_and_not_fatal(
    run_train: Train, cheap: Cheap, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    values = iter([0.5, None, math.nan, math.inf, 0.25])

    def moody(config: dict[str, Any]) -> float:
        if (value := next(values, None)) is None:
            raise RuntimeError("no memory")
        return value

    seen = cheap(moody)
    assert run_train(*SEARCH, "hydra.sweeper.n_trials=5") == 0
    study = study_in(tmp_path)
    assert states(tmp_path) == ["COMPLETE", "FAIL", "FAIL", "FAIL", "COMPLETE"]
    assert "no memory" in study.trials[1].user_attrs["error"]
    assert study.best_trial.number == 4
    said = capfd.readouterr().err
    assert "2 complete, 3 fail" in said
    assert "search: 5 runs: 2 done, 3 failed, in " in said
    assert "run again: python -m asd.train" in said

    # With nothing but failures it stops; the same command tries as many again.
    assert run_train(*SEARCH, "hydra.sweeper.failure_grace=2") == 1
    assert states(tmp_path)[5:] == ["FAIL"] * 2 + ["WAITING"] * 13
    assert len(seen) == 7
    out, err = capfd.readouterr()
    assert "2 trials in a row failed (hydra.sweeper.failure_grace)" in out
    assert "what is missing" in err
    # Refused, each of them: never run.
    refused = ["trainer.batch_size=choice(0, 1)", "hydra.sweeper.failure_grace=2"]
    assert run_train(*SEARCH, *refused, "paths.runs=other") == 1
    assert len(seen) == 7


def test_a_study_of_somebody_else_is_data(
    run_train: Train, cheap: Cheap, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its trials may hold options that nobody searches, paths, formulas and escape sequences."""
    seen = cheap(parabola)
    assert run_train(*SEARCH, "hydra.sweeper.n_trials=1") == 0
    study, rate = study_in(tmp_path), "trainer.learning_rate"
    known = {rate: FloatDistribution(1e-4, 1e-2, log=True)}
    evil = {f"+listeners.{n}": CategoricalDistribution(["{_target_:os.system}"]) for n in "ab"}
    study.add_trial(
        create_trial(
            state=TrialState.WAITING, distributions={**known, **evil},
            params={rate: 2e-3, **dict.fromkeys(evil, "{_target_:os.system}")},
        )
    )  # fmt: skip
    hostile = {
        "error": "=HYPERLINK(1)", "run": "../../elsewhere", "models": "x", "worker": "\x1b[2Jgone",
        "@column": "+1+cmd",
    }  # fmt: skip
    elsewhere = RunFolder(tmp_path.parent / "elsewhere")
    for number, error in enumerate(["=HYPERLINK(1)", ["\x1b[2J\x1b]0;gone\x07"], 7]):
        attributes = {**hostile, "error": error, "run": ["../../elsewhere", "/", 5][number]}
        study.add_trial(create_trial(state=TrialState.FAIL, user_attrs=attributes))
    capfd.readouterr()
    assert run_train(*SEARCH, "hydra.sweeper.n_trials=6") == 0
    said = "".join(capfd.readouterr())
    assert "3 failed" in said and "HYPERLINK" in said and "\x1b]" not in said
    assert [config["trainer"]["learning_rate"] for config in seen][1] == 2e-3
    commands = [line for line in said.splitlines() if "run again" in line]
    assert commands and "os.system" not in f"{seen}{commands}" and not elsewhere.path.exists()
    table = tmp_path / "runs/search" / study.study_name / "trials.csv"
    rows = list(csv.DictReader(table.open()))
    assert rows[2]["error"] == "'=HYPERLINK(1)" and rows[2]["'@column"] == "'+1+cmd"


@pytest.mark.parametrize(
    "change", ["trial_params set distribution_json='{'",
               "trials set state='JUNK'", "alembic_version set version_num='x'"],
)  # fmt: skip
def test_a_study_that_cannot_be_read_is_named(
    change: str, run_train: Train, cheap: Cheap, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cheap(parabola)
    assert run_train(*SEARCH, "hydra.sweeper.n_trials=1") == 0
    with closing(sqlite3.connect(tmp_path / "runs" / "optuna.db")) as connection, connection:
        connection.execute(f"update {change}")
    assert run_train(*SEARCH, "hydra.sweeper.n_trials=1") == 2
    said = "".join(capfd.readouterr())
    assert "optuna.db: cannot be used: " in said and "Traceback" not in said


def listener(folder: Path, objectives: list[str], *models: str) -> PruningListener:
    """Of a run that begins, and may train each model for four epochs."""
    folder.mkdir(parents=True, exist_ok=True)
    search = {"objectives": objectives, "untrained_loss": 1.0}
    pruning = PruningListener({"search": search, "trainer": {"max_epochs": 4, "weights": "best"}})
    pruning.started(RunFolder(folder), models)
    return pruning


def epoch_ends(pruning: PruningListener, model: str, losses: list[float]) -> None:
    """As training tells it, with a row an epoch in ``history.csv``."""
    (folder,) = [path for path in pruning._models if path.name == model]
    rows = [{"epoch": epoch, "val/loss": loss} for epoch, loss in enumerate(losses)]
    write_history(folder / "history.csv", rows)
    pruning.epoch_ended(model, len(losses) - 1, {})


def reporting(config: dict[str, Any]) -> float:
    """Four epochs, each of them reported, as a run would."""
    pruning = listener(Path("runs", f"trial{config['trial']}"), ["validation_loss"], "all")
    losses = [parabola(config) + 4 - epoch for epoch in range(4)]
    for epoch in range(4):
        epoch_ends(pruning, "all", losses[: epoch + 1])
    return losses[-1]


@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [("tpe", "median"), ("qmc", "none"), ("gp", "percentile"), ("nsgaii", "hyperband")],
)
def test_samplers_and_pruners(
    sampler: str, pruner: str, run_train: Train, cheap: Cheap, tmp_path: Path
) -> None:
    seen = cheap(reporting)
    kept = [a for a in SEARCH if "sampler" not in a]
    options = [f"hydra/sweeper/sampler={sampler}", f"hydra/sweeper/pruner={pruner}"]
    if sampler in ("tpe", "gp"):
        options += ["hydra.sweeper.sampler.n_startup_trials=2"]
    if pruner in ("median", "percentile"):
        options += [f"hydra.sweeper.pruner.n_{n}=1" for n in ("startup_trials", "warmup_steps")]
    assert run_train(*kept, *options, "hydra.sweeper.n_trials=6", "trainer.batch_size=4,8") == 0
    assert len(set(rates(seen))) >= 5
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
    options = [*SEARCH, "hydra.sweeper.dead_after_seconds=3", "hydra.sweeper.n_trials=5"]
    assert run_train(*options) == 130
    study = study_in(tmp_path)
    assert states(tmp_path) == ["COMPLETE"] + ["WAITING"] * 4

    # Two workers have died, one of a trial that had killed others before; a third goes on living.
    workers = connect(f"sqlite:///{tmp_path}/runs/optuna.db", 3)
    dead, deadly, alive = (study.trials[number]._trial_id for number in (2, 3, 4))
    workers.set_trial_user_attr(deadly, "deaths", 2)
    for trial_id in (dead, deadly, alive):
        workers.record_heartbeat(trial_id)
        assert workers.set_trial_state_values(trial_id, TrialState.RUNNING)
    with HeartbeatThread(alive, workers):
        assert run_train(*options) == 0
    assert [config["trial"] for config in seen] == [0, 1, 1, 2]
    assert rates(seen)[1] == rates(seen)[2]
    assert states(tmp_path) == ["COMPLETE"] * 3 + ["FAIL", "RUNNING"]
    assert "its process died 3 times" in study_in(tmp_path).trials[3].user_attrs["error"]


def test_several_objectives(
    run_train: Train, cheap: Cheap, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cheap(lambda config: [parabola(config), config["trainer"]["learning_rate"]], draw=True)
    options = ["hydra.sweeper.n_trials=6", "search.objectives=[validation_loss,test_auc]"]
    assert run_train(*SEARCH, *options) == 0
    # As Optuna Dashboard, or anybody, opens it.
    url = f"sqlite:///{tmp_path}/runs/optuna.db"
    (name,) = optuna.get_all_study_names(url)
    study = optuna.load_study(study_name=name, storage=url)
    assert [d.name for d in study.directions] == ["MINIMIZE", "MAXIMIZE"]
    assert study.metric_names == ["validation_loss", "test_auc"]
    assert study.user_attrs["selected_on"] == "test clips"
    plots = {path.stem for path in (tmp_path / "runs/search" / name).glob("*.png")}
    assert plots == {f"search_{name}" for name in study.metric_names}
    assert "*** SELECTED ON TEST CLIPS" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("hydra.sweeper.n_trials=0", "n_trials=0: must be a whole number"),
        ("search.objectives=[test_acu]", "did you mean test_auc"),
        ("+hydra.sweeper.n_trial=1", "did you mean n_trials"),
        ("+hydra.sweeper.sampler.sede=1", "hydra.sweeper.sampler"),
        ("hydra.sweeper.storage=sqlite:////proc/none/x.db", "x.db"),
        ("hydra/launcher=nope", "nope"),
    ],
)
def test_options_that_cannot_be_used(
    option: str, said: str, run_train: Train, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_train(*SEARCH, option) != 0
    error = capfd.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_a_storage_that_is_away_does_not_stop_training(
    tmp_path: Path, trial_of_a_run: Callable[[optuna.Trial], object]
) -> None:
    (tmp_path / "there").mkdir()
    storage = connect(f"sqlite:///{tmp_path / 'there' / 'optuna.db'}")
    trial = optuna.create_study(storage=storage).ask()
    trial_of_a_run(trial)
    pruning = listener(tmp_path / "run", ["validation_loss"], "fan", "pump")
    storage.remove_session()
    storage.engine.dispose()
    (tmp_path / "there").rename(tmp_path / "away")
    for epochs in (1, 2, 3):
        epoch_ends(pruning, "fan", [0.5, 1.5, 2.5][:epochs])
    (tmp_path / "away").rename(tmp_path / "there")
    epoch_ends(pruning, "pump", [0.3])
    # Told later: of two models one is not begun, and the best epoch counts.
    told = trial.study.trials[0].intermediate_values
    assert told == {0: 0.75, 1: 0.75, 2: 0.75, 4: pytest.approx(0.4)}


def test_tags_of_trials(
    tmp_path: Path, trial_of_a_run: Callable[[optuna.Trial | None], object]
) -> None:
    """Test clips that had a say are never forgotten; an old pruning is."""
    study = optuna.create_study(study_name="s")
    folder = RunFolder(tmp_path)
    folder.update(tags={"system": "U", "pruned": "pruned after epoch 2"})
    trial_of_a_run(study.ask())
    listener(tmp_path, ["test_auc"], "all")
    chosen = {"system": "U", "study": "s", "trial": "0", "selected_on": "test clips"}
    assert folder.record()["tags"] == chosen
    trial_of_a_run(None)
    listener(tmp_path, ["parameters"], "all")
    assert folder.record()["tags"] == chosen
    trial_of_a_run(study.ask())
    listener(tmp_path, ["validation_loss"], "all").finished_before(folder)
    assert folder.record()["tags"] == {**chosen, "trial": "1"}


@pytest.fixture
def trial_of_a_run() -> Iterator[Callable[[optuna.Trial | None], object]]:
    """Says which trial the run of this test is."""
    yield current_trial.set
    current_trial.set(None)
