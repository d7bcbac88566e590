"""Sweeps on a real Ray cluster of two nodes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ray_nodes import ray_nodes

from asd.errors import AsdError
from asd.experiment.run_folder import FINISHED, KILLED, RUNNING, RunFolder
from asd.sweeps.ray_cluster import RayCluster, room

EPOCHS = 120
SMALL = ["tracking=off", "data.machines=[fan]", "pictures=off"]
STARTED: list[subprocess.Popen[str]] = []
LONG = [*SMALL, f"trainer.max_epochs={EPOCHS}", "trainer.stop_patience=null"]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with ray_nodes() as head:
        yield head


@pytest.fixture(autouse=True)
def no_sweep_stays() -> Iterator[None]:
    yield
    while STARTED:
        STARTED.pop().kill()


def wait_for(true: Callable[[], Any], sweep: subprocess.Popen[str]) -> Any:
    for _ in range(2400):
        if (value := true()) or sweep.poll() is not None:
            break
        time.sleep(0.05)
    if not value:
        sweep.kill()
        pytest.fail(sweep.communicate()[0])
    return value


def epochs(run: RunFolder) -> int:
    path = run.model("shared") / "history.csv"
    return path.read_text().count("\n") - 1 if path.exists() else 0


def start_sweep(folder: Path, address: str, *arguments: str) -> subprocess.Popen[str]:
    sweep = subprocess.Popen(
        [sys.executable, "-m", "asd.train", "-m", "hydra/launcher=ray",
         f"hydra.launcher.init.address={address}", *arguments],
        cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    STARTED.append(sweep)
    return sweep


def test_a_sweep_uses_both_nodes_and_a_lost_worker_costs_nothing(
    address: str, shared_data: list[str], tmp_path: Path, run_train: Callable[..., int]
) -> None:
    sweep = start_sweep(tmp_path, address, *shared_data, *LONG, "seed=1,2")

    def training(seed: int) -> RunFolder | None:
        found = [RunFolder(p) for p in (tmp_path / "runs").glob(f"*-seed{seed}-*")]
        return next((run for run in found if epochs(run) >= 5), None)

    runs, nodes = {}, set()
    for seed, how in ((1, signal.SIGKILL), (2, signal.SIGTERM)):
        runs[seed] = wait_for(lambda seed=seed: training(seed), sweep)
        about = json.loads((runs[seed].path / "environment.json").read_text())
        nodes.add(re.findall(r"ray node (\w+) on", about["place"])[0])
        os.kill(runs[seed].record()["pid"], how)
    assert len(nodes) == 2
    stood = {seed: epochs(run) for seed, run in runs.items()}
    while sweep.poll() is None:
        assert all(not 0 < epochs(runs[seed]) < stood[seed] - 1 for seed in runs)
        time.sleep(0.05)
    said = sweep.communicate()[0]
    assert sweep.returncode == 0, said
    assert "2 of 2 runs finished" in said
    for run in runs.values():
        assert run.record()["status"] == FINISHED
        assert epochs(run) == EPOCHS
    assert run_train(*LONG, "seed=1", "paths.runs=undisturbed") == 0
    (undisturbed,) = (tmp_path / "undisturbed").glob("*/scores.csv")
    assert runs[1].scores.read_text() == undisturbed.read_text()


def test_stopping_the_sweep_closes_its_run(
    address: str, shared_data: list[str], tmp_path: Path
) -> None:
    sweep = start_sweep(tmp_path, address, *shared_data, *LONG, "seed=3")

    def training() -> RunFolder | None:
        found = [RunFolder(p) for p in (tmp_path / "runs").glob("*-seed*")]
        return next((run for run in found if epochs(run)), None)

    run = wait_for(training, sweep)
    assert run.record()["status"] == RUNNING
    sweep.send_signal(signal.SIGINT)
    said = sweep.communicate(timeout=120)[0]
    assert sweep.returncode not in (0, None), said
    assert run.record()["status"] == KILLED
    assert not run.is_held()
    assert epochs(run) < EPOCHS


def test_what_cannot_be_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    with pytest.raises(AsdError, match=r"address=127\.0\.0\.1:1: no Ray there"):
        RayCluster({"address": "127.0.0.1:1"}, {}, None)


def test_room_on_a_node() -> None:
    node = {"CPU": 8.0, "GPU": 1.0, "memory": 16e9}
    assert room(node, {"num_cpus": 3}) == 2
    assert room(node, {"num_cpus": 1, "num_gpus": 0.5}) == 2
    assert room(node, {"num_cpus": 1, "memory": 32e9}) == 0
    assert room(node, {"num_cpus": 1, "resources": {"lab": 1}}) == 0
