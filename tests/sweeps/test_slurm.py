"""Sweeps on a real Slurm of one node: sbatch, requeue, scancel, and a sweep that is left alone."""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from omegaconf import OmegaConf
from slurm_node import SlurmNode, slurm_node
from sweep_process import EPOCHS, LONG, SMALL, SweepProcess, epochs

from asd.composition import folder_of
from asd.errors import AsdError
from asd.experiment.run_folder import FINISHED, KILLED, RunFolder
from asd.sweeps.slurm_launcher import SlurmLauncher

Start = Callable[..., SweepProcess]
SLURM = ["hydra/launcher=submitit_slurm", "hydra.launcher.cpus_per_task=1",
         "hydra.launcher.poll_s=1"]  # fmt: skip


@pytest.fixture(scope="module")
def slurm() -> Iterator[SlurmNode]:
    with slurm_node() as node:
        yield node


def launcher(folder: Path, **changes: Any) -> SlurmLauncher:
    """As Hydra makes it from the config, for a program that is not there."""
    path = folder_of("conf") / "hydra" / "launcher" / "submitit_slurm.yaml"
    options: Any = OmegaConf.to_container(OmegaConf.load(path))
    given = {name: value for name, value in options.items() if not name.startswith("_")}
    one = SlurmLauncher(**{**given, "poll_s": 0.5, **changes})
    one.prepare([sys.executable, "-m", "no_such_program"], folder / "runs")
    return one


def place_of(run: RunFolder) -> str:
    """The Slurm job that trained a run."""
    about = json.loads((run.path / "environment.json").read_text())
    return re.fullmatch(r"slurm job (\d+_\d+) on \S+", about["place"])[1]  # type: ignore[index]


def test_requeued_workers_resume_and_runs_that_fail_stop_nobody(
    slurm: SlurmNode, start_sweep: Start, undisturbed: Callable[[], str]
) -> None:
    two = [*SLURM, "hydra.launcher.array_parallelism=2"]
    sweep = start_sweep(*two, *LONG, "seed=1,2", "model.kernel=3,4", SLURM_CONF=str(slurm.conf))
    # The second is what Slurm sends before the time limit.
    orders = {1: ["scontrol", "requeue"], 2: ["scancel", "--batch", "--signal=USR2"]}
    runs, jobs, stood = {}, {}, {}
    for seed, order in orders.items():
        runs[seed] = sweep.training(seed)
        jobs[seed] = place_of(runs[seed])
        slurm.run(*order, jobs[seed])
    for seed, run in runs.items():
        sweep.wait_for(lambda run=run: run.record()["status"] == KILLED)
        stood[seed] = epochs(run)
        assert 5 <= stood[seed] < EPOCHS
        sweep.wait_for(lambda seed=seed: slurm.jobs().get(jobs[seed]) == "PENDING")
        slurm.start_requeued(jobs[seed])
    while sweep.process.poll() is None:
        # Begun anew, it would have fewer for a while; the last may lack its checkpoint.
        assert all(not 0 < epochs(runs[seed]) < stood[seed] - 1 for seed in orders)
        time.sleep(0.05)
    printed = sweep.end()
    assert sweep.process.returncode == 1, printed
    assert len(re.findall(r"\] .*kernel 4.*: FAILED: model\.kernel=4", printed)) == 2
    assert "4 runs: 2 done, 2 failed, in " in printed
    for run in runs.values():
        assert (run.record()["status"], epochs(run)) == (FINISHED, EPOCHS)
    assert runs[1].scores.read_text() == undisturbed()


def test_a_sweep_that_is_stopped_leaves_its_workers_and_finds_them_again(
    slurm: SlurmNode, start_sweep: Start
) -> None:
    arguments, environment = [*SLURM, *SMALL, "seed=1,2"], {"SLURM_CONF": str(slurm.conf)}
    slurm.run("scontrol", "update", "PartitionName=all", "State=DOWN")
    sweep = start_sweep(*arguments, **environment)
    sweep.wait_for(lambda: len(slurm.jobs()) == 2)
    time.sleep(0.5)
    sweep.process.send_signal(signal.SIGINT)
    printed = sweep.end(60)
    jobs = sorted(slurm.jobs())
    assert sweep.process.returncode == 130
    assert "2 workers stay in Slurm's queue" in printed
    assert f"scancel {' '.join(jobs)}" in printed
    sweep = start_sweep(*arguments, **environment)
    time.sleep(5)
    assert sorted(slurm.jobs()) == jobs
    slurm.run("scontrol", "update", "PartitionName=all", "State=UP")
    printed = sweep.end()
    assert sweep.process.returncode == 0, printed
    assert f"Slurm has workers of this sweep already: {' '.join(jobs)}" in printed
    assert "2 runs: 2 done, in " in printed
    assert {place_of(run) for seed in (1, 2) for run in sweep.runs(seed)} <= set(jobs)


def test_workers_that_are_cancelled_broken_or_refused_end_the_wait(
    slurm: SlurmNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CONF", str(slurm.conf))

    def glance() -> None:
        if jobs := slurm.jobs():
            slurm.run("scancel", *jobs)

    said: list[str] = []
    display: Any = SimpleNamespace(open=["a cell"], left=False, glance=glance, say=said.append)
    launcher(tmp_path, hold=True).work(display, most=1)  # until it is cancelled
    display.glance = lambda: None
    broken = launcher(tmp_path, setup=["echo out of luck"])
    broken.work(display, most=1)
    assert str(broken.folder) in said[-1]
    (log_file,) = broken.folder.iterdir()
    assert "out of luck" in log_file.read_text()
    assert "No module named no_such_program" in log_file.read_text()
    with pytest.raises(AsdError, match=r"Slurm's answer: .*invalid partition"):
        launcher(tmp_path, partition="gone").work(display, most=1)


def test_options_are_sbatchs(tmp_path: Path) -> None:
    one = launcher(
        tmp_path, mem="1536M", cpus_per_task=4, exclusive=True, reservation="my lab",
        setup=["module load cuda"],
    )  # fmt: skip
    assert set(one.flags(3)) == {
        f"--job-name={one.name()}", "--time=60", "--signal=B:USR2@120", "--mem=1536M",
        "--reservation=my lab", "--cpus-per-task=4", "--exclusive", "--requeue", "--array=0-2",
        f"--output={one.folder}/worker-%A_%a.log", "--open-mode=append",
    }  # fmt: skip
    assert 'OMP_NUM_THREADS="4"' in one.script()
    assert "module load cuda" in one.script().splitlines()
