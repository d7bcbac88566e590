"""Workers on this machine: real sweeps, whose processes are killed."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from sweep_process import LONG, SweepProcess, epochs

from asd.errors import AsdError
from asd.experiment.run_folder import FAILED, FINISHED, KILLED, RUNNING
from asd.sweeps.workers import JoblibLauncher

Start = Callable[..., SweepProcess]
JOBLIB = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]


def test_a_machine_is_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    def shares(
        n_jobs: Any, memory_gb: float, jobs_per_gpu: Any, threads: int | None
    ) -> list[tuple[str, str | None]]:
        counts = {"n_jobs": n_jobs, "jobs_per_gpu": jobs_per_gpu, "threads": threads}
        divided = JoblibLauncher(memory_gb, **counts).shares()
        return [(v["OMP_NUM_THREADS"], v.get("CUDA_VISIBLE_DEVICES")) for v in divided]

    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert shares(None, 1e-9, 1, None) == [("1", None)] * 8
    assert shares(None, 1e9, 1, None) == [("8", None)]
    assert shares(8, 2.0, 1, None) == [("1", None)] * 8
    assert shares(2, 2.0, 1, 3) == [("3", None)] * 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,GPU-8a")
    assert shares(None, 2.0, 1, None) == [("4", "0"), ("4", "GPU-8a")]
    assert shares(None, 2.0, 2, 1) == [("1", "0"), ("1", "GPU-8a"), ("1", "0"), ("1", "GPU-8a")]
    assert shares(1, 2.0, 2, None) == [("8", "0")]
    for wrong in (0, -1, True, 1.5, "2"):
        with pytest.raises(AsdError, match=r"hydra.launcher.n_jobs=.*whole number 1 or more"):
            shares(wrong, 2.0, 1, None)
    with pytest.raises(AsdError, match="jobs_per_gpu=None"):
        shares(1, 2.0, None, None)


def test_a_run_that_takes_its_worker_down_stops_no_other(start_sweep: Start) -> None:
    # With force it begins anew once, not after every kill.
    arguments = [*JOBLIB, "hydra.launcher.threads=1", *LONG, "seed=1,2"]
    sweep = start_sweep(*arguments, "force=true")
    run, killed = sweep.training(1), set[int]()
    while sweep.process.poll() is None:
        record = run.record()
        if record["status"] == RUNNING and record["pid"] not in killed:
            environment = psutil.Process(record["pid"]).environ()
            assert environment["OMP_NUM_THREADS"] == "1"
            assert environment["ASD_BESIDE_OTHERS"] == "1"
            killed.add(record["pid"])
            os.kill(record["pid"], signal.SIGKILL)
        time.sleep(0.05)
    printed = sweep.end()
    assert sweep.process.returncode == 1, printed
    assert len(re.findall(r"\] U seed 1.*: FAILED: its process died 3 times", printed)) == 1
    assert "2 runs: 1 done, 1 failed, in " in printed
    assert run.record()["status"] == FAILED
    assert [one.record()["status"] for one in sweep.runs(2)] == [FINISHED]
    # The user starts it again: what was failed is tried anew, from where it stood.
    assert epochs(run) >= 5
    assert [len(sweep.runs(seed)) for seed in (1, 2)] == [1, 1]
    sweep = start_sweep(*arguments)
    printed = sweep.end()
    assert sweep.process.returncode == 0, printed
    assert "2 runs: 1 done, 1 failed\n" in printed
    assert not list((sweep.folder / "runs").glob(".workers/*"))


@pytest.mark.parametrize(("how", "status"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143)])
def test_workers_close_their_runs_and_do_not_outlive_the_sweep(
    how: signal.Signals, status: int, start_sweep: Start
) -> None:
    sweep = start_sweep(*JOBLIB, *LONG, "seed=1,2")
    runs = [sweep.training(seed) for seed in (1, 2)]
    workers = psutil.Process(sweep.process.pid).children(recursive=True)
    assert {run.record()["pid"] for run in runs} <= {worker.pid for worker in workers}
    sweep.process.send_signal(how)
    printed = sweep.end()
    assert sweep.process.returncode == status, printed
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert not [worker for worker in alive if worker.status() != psutil.STATUS_ZOMBIE]
    assert [run.record()["status"] for run in runs] == [KILLED, KILLED]
    assert how == signal.SIGKILL or "what is missing: python" in printed
