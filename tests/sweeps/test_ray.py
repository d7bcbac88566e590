"""Sweeps on a real Ray cluster of two nodes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from sweep_process import EPOCHS, LONG, SweepProcess, epochs

from asd.errors import AsdError
from asd.experiment.run_folder import FINISHED, KILLED
from asd.sweeps.ray_launcher import RayLauncher

Start = Callable[..., SweepProcess]


@pytest.fixture(scope="module")
def ray_sweep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """A cluster as docs/scaling.md has it: with a token, in a home of its own."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("RAY_ADDRESS", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
            patch.delenv(name, raising=False)
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("RAY_AUTH_MODE", "token")
        # Ray's workers step back for everything else on the machine, which here is other tests.
        patch.setenv("RAY_worker_niceness", "0")
        # It reads them when it is imported.
        pytest.importorskip("ray", reason="Ray is not installed (pip install -e '.[ray]')")
        program = str(Path(sys.executable).with_name("ray"))
        subprocess.run([program, "get-auth-token", "--generate"], check=True, capture_output=True)
        from ray.cluster_utils import Cluster

        options = {"num_cpus": 1, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=options)
        cluster.add_node(num_cpus=1)
        yield ["hydra/launcher=ray", f"hydra.launcher.init.address={cluster.address}"]
        cluster.shutdown()


def test_a_sweep_uses_both_nodes_and_a_lost_worker_costs_nothing(
    ray_sweep: list[str], start_sweep: Start, undisturbed: Callable[[], str]
) -> None:
    sweep = start_sweep(*ray_sweep, *LONG, "seed=1,2")
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
    assert "2 runs: 2 done, in " in printed
    for run in runs.values():
        assert (run.record()["status"], epochs(run)) == (FINISHED, EPOCHS)
    assert runs[1].scores.read_text() == undisturbed()


def test_stopping_the_sweep_closes_its_run(ray_sweep: list[str], start_sweep: Start) -> None:
    sweep = start_sweep(*ray_sweep, *LONG, "seed=3")
    run = sweep.training(3, least=1)
    sweep.process.send_signal(signal.SIGINT)
    printed = sweep.end(120)
    assert sweep.process.returncode == 130, printed
    assert run.record()["status"] == KILLED
    assert not run.is_held()
    assert epochs(run) < EPOCHS


def test_what_cannot_be_is_said_at_once() -> None:
    pytest.importorskip("ray")
    launcher = RayLauncher({"address": "127.0.0.1:1"}, {}, None)
    with pytest.raises(AsdError, match=r"address=127\.0\.0\.1:1: no Ray there"):
        launcher.start([0])
