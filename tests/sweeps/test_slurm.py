"""Sweeps on a real Slurm of one node: sbatch, requeue, scancel, and a sweep that is left alone."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hydra.core.utils import JobReturn, JobStatus
from slurm_node import SlurmNode, slurm_node

from asd.cores import cores
from asd.errors import AsdError
from asd.experiment.run_folder import FINISHED, KILLED, RunFolder
from asd.sweeps.launching import Job, Packet
from asd.sweeps.queueing import run_in_queue
from asd.sweeps.slurm import Slurm, mark_of, task_parameters

EPOCHS = 120
SMALL = ["tracking=off", "data.machines=[fan]", "pictures=off"]
STARTED: list[subprocess.Popen[str]] = []
LONG = [*SMALL, f"trainer.max_epochs={EPOCHS}", "trainer.stop_patience=null"]
SLURM = ["hydra/launcher=submitit_slurm", "hydra.launcher.cpus_per_task=1",
         "hydra.launcher.poll_s=1", "hydra.launcher.settle_s=2"]  # fmt: skip


@pytest.fixture(scope="module")
def slurm() -> Iterator[SlurmNode]:
    with slurm_node() as node:
        yield node


@dataclass(frozen=True)
class Small:
    """Stands for a run."""

    job: Job

    def __call__(self) -> JobReturn:
        name = self.job.overrides[0]
        if name == "dies":
            print("out of luck", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "cancelled":
            subprocess.run(["scancel", os.environ["SLURM_JOB_ID"]], check=True)
            time.sleep(60)
        result = JobReturn(status=JobStatus.COMPLETED)
        result.return_value = cores(), str(Path.cwd()), os.environ["ASD_PLACE"]
        return result


def queue(folder: Path, **parameters: Any) -> Slurm:
    given = {"timeout_min": 5, "additional_parameters": {"requeue": True}, **parameters}
    return Slurm(str(folder / "jobs"), given, max_num_timeout=1, poll_s=0.5)


def small(job: Job) -> Packet:
    return Small(job)  # type: ignore[return-value]


def test_a_job_has_its_threads_and_folder_and_one_that_dies_is_alone_with_it(
    slurm: SlurmNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setenv("SLURM_CONF", str(slurm.conf))
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    monkeypatch.chdir(tmp_path)
    asked: list[str] = []

    def jobs() -> Iterator[Job]:
        for number, name in enumerate(("fine", "dies", "late", "cancelled")):
            asked.append(name)
            yield Job(number, (name,))

    results = {}
    for number, result in run_in_queue(
        jobs(), small, queue(tmp_path, cpus_per_task=3), 2, attempts=2, poll_s=0.5, settle_s=1.0
    ):
        if not results:
            assert asked == ["fine", "dies"]  # the third is asked for when there is a place
        results[number] = result
    for number in (0, 2):
        threads, folder, place = results[number].return_value
        assert threads == 3
        assert folder == str(tmp_path)
        assert re.fullmatch(r"slurm job \d+ on \S+", place)
    assert results[1].status == JobStatus.FAILED
    error = results[1]._return_value
    found = re.fullmatch(r"Slurm job \d+: FAILED; its log: (jobs/\d+_0_log.err)", error.message)
    assert found is not None, error.message
    assert "out of luck" in (tmp_path / found[1]).read_text()
    assert "out of luck" in error.details
    said = results[3]._return_value.message
    assert re.fullmatch(r"Slurm job \d+: CANCELLED \(scancel\); its log: jobs/\S+", said)


def test_what_slurm_refuses_is_said_in_its_words(
    slurm: SlurmNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CONF", str(slurm.conf))
    jobs = [Job(0, ("fine",))]
    with pytest.raises(AsdError, match=r"does not take the job: .*invalid partition"):
        list(run_in_queue(jobs, small, queue(tmp_path, partition="gone"), 2, 1, 1.0, 1.0))
    with pytest.raises(AsdError, match="Unavailable parameter"):
        queue(tmp_path, colour="red")
    with pytest.raises(AsdError, match="tasks_per_node=2: a run is one task"):
        queue(tmp_path, tasks_per_node=2)


def start_sweep(folder: Path, slurm: SlurmNode, *arguments: str) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    sweep = subprocess.Popen(
        [sys.executable, "-m", "asd.train", "-m", *SLURM, *arguments], cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "SLURM_CONF": str(slurm.conf)},
    )  # fmt: skip
    STARTED.append(sweep)
    return sweep


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


def test_requeued_jobs_resume_and_those_that_fail_stop_nobody(
    slurm: SlurmNode, shared_data: list[str], tmp_path: Path, run_train: Callable[..., int]
) -> None:
    folder = tmp_path / "swept"
    # A kernel of 4 is refused in the job, which builds the model.
    sweep = start_sweep(folder, slurm, *shared_data, *LONG, "seed=1,2", "model.kernel=3,4")

    def training(seed: int) -> RunFolder | None:
        found = [RunFolder(p) for p in (folder / "runs").glob(f"*-seed{seed}-*")]
        return next((run for run in found if epochs(run) >= 5), None)

    # The second is what Slurm sends before the time limit.
    orders = {1: ["scontrol", "requeue"], 2: ["scancel", "--signal=USR2"]}
    runs, jobs = {}, {}
    for seed, order in orders.items():
        runs[seed] = wait_for(lambda seed=seed: training(seed), sweep)
        about = json.loads((runs[seed].path / "environment.json").read_text())
        jobs[seed] = about["place"].split()[2]
        slurm.run(*order, jobs[seed])
    stood = {}
    for seed, run in runs.items():
        wait_for(lambda run=run: run.record()["status"] == KILLED, sweep)
        stood[seed] = epochs(run)
        assert 5 <= stood[seed] < EPOCHS
        wait_for(lambda seed=seed: slurm.jobs().get(jobs[seed]) == "PENDING", sweep)
        slurm.start_requeued(jobs[seed])
    while sweep.poll() is None:
        # Begun anew, it would have fewer for a while; the last may lack its checkpoint.
        assert all(not 0 < epochs(runs[seed]) < stood[seed] - 1 for seed in orders)
        time.sleep(0.05)
    said = sweep.communicate()[0]
    assert sweep.returncode == 2, said  # all that failed is for the user to mend
    assert len(re.findall(r"\] .*kernel 4.*: FAILED: model\.kernel=4", said)) == 2
    assert "2 of 4 runs finished, 2 failed" in said
    for seed in orders:
        assert runs[seed].record()["status"] == FINISHED
        assert epochs(runs[seed]) == EPOCHS
        assert run_train(*LONG, f"seed={seed}", f"paths.runs=undisturbed{seed}") == 0
        (undisturbed,) = (tmp_path / f"undisturbed{seed}").glob("*/scores.csv")
        assert runs[seed].scores.read_text() == undisturbed.read_text()


def test_a_sweep_that_is_stopped_leaves_its_jobs_and_finds_them_again(
    slurm: SlurmNode, shared_data: list[str], tmp_path: Path
) -> None:
    arguments = [*shared_data, *SMALL, "seed=1,2"]
    slurm.run("scontrol", "update", "PartitionName=all", "State=DOWN")
    sweep = start_sweep(tmp_path, slurm, *arguments)
    wait_for(lambda: len(slurm.jobs()) == 2, sweep)
    time.sleep(0.5)
    sweep.send_signal(signal.SIGINT)
    said = sweep.communicate(timeout=60)[0]
    jobs = slurm.jobs()
    assert sweep.returncode not in (0, None)
    assert "2 jobs stay in Slurm's queue" in said
    assert f"scancel {' '.join(jobs)}" in said or f"scancel {' '.join(reversed(jobs))}" in said
    sweep = start_sweep(tmp_path, slurm, *arguments)
    slurm.run("scontrol", "update", "PartitionName=all", "State=UP")
    said = sweep.communicate(timeout=300)[0]
    assert sweep.returncode == 0, said
    assert said.count("has this run already; waiting for it") == 2
    assert "2 of 2 runs finished" in said
    assert len(list((tmp_path / "runs" / ".submitit").glob("*_submission.sh"))) == 2


def test_options_are_sbatchs() -> None:
    given = task_parameters(
        {"name": "asd", "timeout_min": 9, "mem_gb": 1.5, "cpus_per_task": 4, "qos": None,
         "tasks_per_node": 1, "setup": ["module load cuda"]}
    )  # fmt: skip
    assert given == {
        "job_name": "asd", "time": 9, "mem": "1536M", "cpus_per_task": 4, "ntasks_per_node": 1,
        "setup": [
            "export OMP_NUM_THREADS=4 MKL_NUM_THREADS=4 OPENBLAS_NUM_THREADS=4", "module load cuda",
        ],
        "srun_args": ["--cpus-per-task=4"],
    }  # fmt: skip


def test_a_jobs_mark_is_its_runs() -> None:
    one = mark_of("jobs", ("seed=1", "system=U"))
    assert one == mark_of("jobs", ("system=U", "seed=1", "if_running=wait"))
    assert one != mark_of("jobs", ("seed=2", "system=U"))
    assert one != mark_of("others", ("seed=1", "system=U"))
