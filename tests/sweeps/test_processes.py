"""The pool of processes, with jobs that cost nothing; real runs are in test_grid.py."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from hydra.core.utils import JobReturn, JobStatus

from asd.errors import AsdError
from asd.sweeps.launching import Job, JobFailedError
from asd.sweeps.processes import Places, run_in_processes


@dataclass(frozen=True)
class Task:
    """Stands where a packet does; leaves a file a start."""

    job: Job
    folder: str

    def __call__(self) -> JobReturn:
        starts = Path(self.folder) / f"{self.job.number}.starts"
        with starts.open("a") as file:
            file.write(f"{os.getpid()} {os.environ['OMP_NUM_THREADS']}"
                       f" {os.environ.get('CUDA_VISIBLE_DEVICES', '-')}\n")  # fmt: skip
        first = len(starts.read_text().splitlines()) == 1
        order = self.job.overrides[0]
        if order == "dies" or (order == "dies once" and first):
            os.kill(os.getpid(), signal.SIGKILL)
        if order == "sleeps":
            time.sleep(600)
        if order == "raises":
            raise ValueError("no such thing")
        time.sleep(0.2)
        result = JobReturn(status=JobStatus.COMPLETED)
        result.return_value = self.job.number
        return result


def ran(folder: Path, orders: list[str], places: Places) -> dict[int, JobReturn]:
    jobs = [Job(number, (order,)) for number, order in enumerate(orders)]
    made = run_in_processes(jobs, lambda job: Task(job, str(folder)), places, attempts=2)  # type: ignore[arg-type,return-value]
    return dict(made)


def starts(folder: Path, number: int) -> list[list[str]]:
    return [line.split() for line in (folder / f"{number}.starts").read_text().splitlines()]


def test_jobs_share_processes_cores_and_gpus(tmp_path: Path) -> None:
    results = ran(tmp_path, ["works"] * 6, Places(2, 3, ("0", "1")))
    assert {n: r.return_value for n, r in results.items()} == {n: n for n in range(6)}
    lines = [line for n in range(6) for line in starts(tmp_path, n)]
    assert {threads for _, threads, _ in lines} == {"3"}
    gpu_of = {pid: gpu for pid, _, gpu in lines}
    assert sorted(gpu_of.values()) == ["0", "1"]


def test_a_job_that_takes_its_process_down_does_not_take_the_others(tmp_path: Path) -> None:
    results = ran(tmp_path, ["works", "dies", "works", "dies once", "raises"], Places(2, 1))
    assert len(results) == 5
    assert {n for n, r in results.items() if r.status == JobStatus.FAILED} == {1, 4}
    assert [len(starts(tmp_path, n)) for n in range(5)] == [1, 2, 1, 2, 1]
    with pytest.raises(JobFailedError, match="its process died 2 times"):
        raise results[1]._return_value
    with pytest.raises(JobFailedError, match="ValueError: no such thing"):
        raise results[4]._return_value


def test_jobs_may_be_decided_late(tmp_path: Path) -> None:
    done: list[int] = []
    asked_after: list[int] = []

    def jobs() -> Iterator[Job]:
        for number in range(4):
            asked_after.append(len(done))
            yield Job(number, ("works",))

    for number, _ in run_in_processes(
        jobs(), lambda job: Task(job, str(tmp_path)), Places(1, 1), attempts=1  # type: ignore[arg-type,return-value]
    ):  # fmt: skip
        done.append(number)
    assert asked_after == [0, 1, 2, 3]


_PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
from test_processes import *
print("ready", flush=True)
ran(Path({folder!r}), ["sleeps"] * 2, Places(2, 1))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_processes_do_not_outlive_the_sweep(how: signal.Signals, tmp_path: Path) -> None:
    program = _PROGRAM.format(tests=str(Path(__file__).parent), folder=str(tmp_path))
    sweep = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not all((tmp_path / f"{n}.starts").exists() for n in range(2)):
        assert time.monotonic() < until
        time.sleep(0.1)
    workers = [psutil.Process(int(starts(tmp_path, n)[0][0])) for n in range(2)]
    sweep.send_signal(how)
    sweep.wait(60)
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert not [w for w in alive if w.status() != psutil.STATUS_ZOMBIE]


def test_a_machine_is_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert Places.of(None, 1, None, 1e-9) == Places(8, 1)
    assert Places.of(None, 1, None, 1e9) == Places(1, 8)
    assert Places.of(8, 1, None, 2.0) == Places(8, 1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,GPU-8a")
    assert Places.of(None, 1, None, 2.0) == Places(2, 4, ("0", "GPU-8a"))
    assert Places.of(None, 2, 1, 2.0) == Places(4, 1, ("0", "GPU-8a", "0", "GPU-8a"))
    assert Places.of(1, 2, None, 2.0) == Places(1, 8, ("0",))
    for wrong in (0, -1, True, 1.5, "2"):
        with pytest.raises(AsdError, match=r"hydra.launcher.n_jobs=.*whole number from 1"):
            Places.of(wrong, 1, None, 2.0)  # type: ignore[arg-type]
    with pytest.raises(AsdError, match="jobs_per_gpu=None"):
        Places.of(1, None, None, 2.0)  # type: ignore[arg-type]
