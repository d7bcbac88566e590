"""Sweeps on a real Ray cluster of two nodes."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from sweep_process import EPOCHS, LONG, SweepProcess, epochs

from asd.errors import AsdError
from asd.experiment.run_folder import FINISHED, KILLED, RUNNING
from asd.sweeps.ray_launcher import RayLauncher

Start = Callable[..., SweepProcess]
RAY = {"RAY_AUTH_MODE": "disabled"}


@pytest.fixture(scope="module")
def ray_sweep() -> Iterator[list[str]]:
    pytest.importorskip("ray", reason="Ray is not installed (pip install -e '.[ray]')")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        # Ray's workers step back for everything else on the machine, which here is other tests.
        patch.setenv("RAY_worker_niceness", "0")
        # Else a token that some other use of Ray has left in the home folder is asked for.
        patch.setenv("RAY_AUTH_MODE", "disabled")
        options = {"num_cpus": 1, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=options)
        cluster.add_node(num_cpus=1)
        yield ["hydra/launcher=ray", f"hydra.launcher.init.address={cluster.address}"]
        cluster.shutdown()


def test_a_sweep_uses_both_nodes_and_a_lost_worker_costs_nothing(
    ray_sweep: list[str],
    shared_data: list[str],
    tmp_path: Path,
    run_train: Callable[..., int],
    start_sweep: Start,
) -> None:
    sweep = start_sweep(tmp_path, [*ray_sweep, *shared_data, *LONG, "seed=1,2"], **RAY)
    runs, nodes = {}, set()
    for seed in (1, 2):
        runs[seed] = sweep.training(seed)
        about = json.loads((runs[seed].path / "environment.json").read_text())
        nodes.add(re.findall(r"ray node (\w+) on", about["place"])[0])
        worker = psutil.Process(runs[seed].record()["pid"])
        if seed == 1:
            worker.kill()
        else:  # the node's own process, with all that it started
            task = worker.parent()
            assert task is not None
            assert "ray::" in task.name() + " ".join(task.cmdline())
            task.send_signal(signal.SIGTERM)
    assert len(nodes) == 2
    stood = {seed: epochs(run) for seed, run in runs.items()}
    while sweep.process.poll() is None:
        assert all(not 0 < epochs(runs[seed]) < stood[seed] - 1 for seed in runs)
        time.sleep(0.05)
    printed = sweep.end()
    assert sweep.process.returncode == 0, printed
    assert "2 of 2 runs finished" in printed
    for run in runs.values():
        assert run.record()["status"] == FINISHED
        assert epochs(run) == EPOCHS
    assert run_train(*LONG, "seed=1", "paths.runs=undisturbed") == 0
    (undisturbed,) = (tmp_path / "undisturbed").glob("*/scores.csv")
    assert runs[1].scores.read_text() == undisturbed.read_text()


def test_stopping_the_sweep_closes_its_run(
    ray_sweep: list[str], shared_data: list[str], tmp_path: Path, start_sweep: Start
) -> None:
    sweep = start_sweep(tmp_path, [*ray_sweep, *shared_data, *LONG, "seed=3"], **RAY)
    run = sweep.training(3, least=1)
    assert run.record()["status"] == RUNNING
    sweep.process.send_signal(signal.SIGINT)
    printed = sweep.end(120)
    assert sweep.process.returncode == 130, printed
    assert run.record()["status"] == KILLED
    assert not run.is_held()
    assert epochs(run) < EPOCHS


def test_what_cannot_be_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    launcher = RayLauncher({"address": "127.0.0.1:1"}, {"max_retries": 3}, None)
    with pytest.raises(AsdError, match=r"address=127\.0\.0\.1:1: no Ray there"):
        launcher.start([0])
