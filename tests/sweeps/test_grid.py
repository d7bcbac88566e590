"""Sweeps over tiny simulated data, as a user runs them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from sweep_process import SweepProcess

from asd.sweeps.__main__ import main as sweeps

Train = Callable[..., int]
SHORT = ["tracking=off", "data.machines=[fan,pump]", "trainer.max_epochs=1"]


def records(folder: Path) -> dict[str, dict[str, object]]:
    found = [json.loads(p.read_text()) for p in (folder / "runs").glob("*/run.json")]
    common = ", machines [fan,pump], max_epochs 1"
    names = [str(r["run_name"]).replace(common, "") for r in found]
    return {
        n.removesuffix(", SIMULATED, demo scale (tiny)"): r
        for n, r in zip(names, found, strict=True)
    }


def test_a_sweep_runs_what_it_can_and_says_what_it_could_not(
    run_train: Train, shared_data: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = ["-m", "+sweep=paper", "+experiment=u,ss_0.5", "seed=0,-1", *SHORT]
    asked.append("trainer.learning_rate=0.001,1e30")
    assert run_train(*asked) == 1
    out, err = capfd.readouterr()
    done = {name for name, r in records(tmp_path).items() if r["status"] == "FINISHED"}
    assert done == {"U seed 0", "SS-0.5-0.5 seed 0"}  # at the default learning rate
    assert err.startswith("paper: 8 runs: 4 refused, 4 missing\n")
    last = err[err.index("[8/8]") :]
    assert "paper: 8 runs: 2 done, 2 failed, 4 refused, in " in last
    assert last.count("seed=-1: must be a whole number") == 4
    assert last.count("FAILED U seed 0, learning_rate 1e+30: ") == 1
    assert last.count("run again: python -m asd.train ") == 6
    assert last.count("log:       runs/u-simulated-tiny-seed0") == 1
    assert "what is missing: python" in last
    assert "AUC (Table 1 of the paper) in percent. SIMULATED" in out
    assert "n=1" in out

    # As said by the files alone; then again: nothing is trained that is finished.
    assert sweeps(["status", *asked[1:], *shared_data]) == 0
    shown = capfd.readouterr().out
    assert [shown.count(f"\n{s} ") for s in ("failed", "refused")] == [2, 4]
    assert "paper: 8 runs: 2 done, 2 failed, 4 refused" in shown
    assert "training diverged" in shown or "not finite" in shown
    before = {name: r["ended"] for name, r in records(tmp_path).items() if name in done}
    tracked = ["tracking=mlflow" if word == "tracking=off" else word for word in asked]
    assert run_train(*tracked) == 1
    assert "[7/8]" in capfd.readouterr().err
    # They were finished without a tracker: the sweep's list has them now.
    assert {n for n, r in records(tmp_path).items() if r.get("published")} >= done
    assert {r["mlflow_experiment"] for r in records(tmp_path).values()} == {"paper SIMULATED"}
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlruns' / 'mlflow.db'}")
    listed = client.get_experiment_by_name("paper SIMULATED")
    runs = client.search_runs([listed.experiment_id], "status = 'FINISHED'")
    assert {run.data.params["system"] for run in runs} == {"U", "SS-0.5-0.5"}
    assert all(0 < run.info.end_time - run.info.start_time < 60_000 for run in runs)
    assert {n: records(tmp_path)[n]["ended"] for n in before} == before


def test_what_was_never_begun_is_listed_and_shown_without_making_anything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert sweeps(["list"]) == 0
    assert "paper          The paper's grid\n" in capsys.readouterr().out
    assert sweeps(["status", "sweep=scope", "scale=tiny"]) == 0
    assert "scope: 2 runs: 2 missing" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["status"], "say of which sweep: sweep=NAME, one of .*paper"),
        (["status", "sweep=papr"], "no such sweep"),
        (["status", "sweep=paper", "sede=1"], "Could not override 'sede'"),
        (["status", "sweep=paper", "seed=interval(0,1)"], "intervals need hydra/sweeper=optuna"),
        (["stat"], "invalid choice: 'stat'"),
    ],
)
def test_wrong_questions(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        assert sweeps(arguments) == 2
    except SystemExit as end:  # argparse
        assert end.code == 2
    assert re.search(message, capsys.readouterr().err)


def test_two_sweeps_at_once_share_the_work(start_sweep: Callable[..., SweepProcess]) -> None:
    asked = ["+experiment=u", "seed=0,1,2", "trainer.max_epochs=6", *SHORT[:2]]
    both = [start_sweep(*asked), start_sweep(*asked, "hydra/launcher=joblib")]
    command = [sys.executable, "-m", "asd.sweeps", "status", "--watch", *both[0].arguments]
    watched = subprocess.run(
        command, cwd=both[0].folder, capture_output=True, text=True, timeout=120
    )
    assert "sweep: 3 runs: 3 done" in watched.stdout
    for sweep in both:
        assert "sweep: 3 runs: 3 done, in " in sweep.end()
        assert sweep.process.returncode == 0
    folders = [run for seed in range(3) for run in sweep.runs(seed)]
    assert len(folders) == 3
    for folder in folders:
        assert folder.record()["status"] == "FINISHED"
        lines = folder.log_file.read_text().splitlines()
        trained = [found[1] for line in lines if (found := re.search(r"epoch (\d+/\d+)", line))]
        assert trained.count("6/6") == 1  # by one of them, to its end
