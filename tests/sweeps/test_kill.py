"""kill -9 at random moments of a running sweep, again and again.

Processes are forked from one that has torch and MLflow imported, so that they start in a second;
from there on they are the program as a user starts it. ``ASD_KILLS`` says how often they are
killed, ``ASD_KILL_SEED`` when: ``ASD_KILLS=20 pytest tests/sweeps/test_kill.py``.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import sqlite3
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from asd.experiment.run_folder import FINISHED, RunFolder

KILLS = int(os.environ.get("ASD_KILLS", "6"))
# From a process's start until it is killed, in seconds: from before its first file to several runs
# later.
MOMENTS = (0.3, 6.0)
CELLS = ["+experiment=u,ss_0.5,b", "seed=0,1", "data.machines=[fan,pump]", "trainer.max_epochs=12"]
PRELOAD = [
    "asd.train", "asd.training.run", "asd.training.one_model", "asd.tracking.sync", "mlflow",
    "asd.sweeps.grid_sweep", "asd.reporting.runs", "asd.search.objectives",
]  # fmt: skip


def program(folder: str, arguments: list[str]) -> None:
    """``python -m asd.train`` in a forked process, the leader of a group of its own."""
    os.setsid()
    os.chdir(folder)
    output = os.open("output.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.argv = ["asd.train", *arguments]
    from asd.train import main

    main()


@pytest.fixture(scope="module")
def forks() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*PRELOAD, __name__])
    return context


def sweep(forks: Any, folder: Path, arguments: list[str]) -> Any:
    folder.mkdir(parents=True, exist_ok=True)
    process = forks.Process(target=program, args=(str(folder), arguments))
    process.start()
    return process


def results(folder: Path) -> dict[str, tuple[str, dict[str, str]]]:
    """By identity, the scores and tables of every run, byte by byte."""
    found = {}
    for path in sorted((folder / "runs").glob("*/run.json")):
        run = RunFolder(path.parent)
        assert run.record()["status"] == FINISHED
        tables = {p.name: p.read_text() for p in sorted(run.tables.iterdir())}
        assert run.record()["identity"] not in found
        found[run.record()["identity"]] = run.scores.read_text(), tables
    return found


def test_a_sweep_survives_being_killed(forks: Any, shared_data: list[str], tmp_path: Path) -> None:
    arguments = ["-m", *shared_data, *CELLS]
    undisturbed = sweep(forks, tmp_path / "undisturbed", arguments)
    undisturbed.join(300)
    assert undisturbed.exitcode == 0, (tmp_path / "undisturbed" / "output.log").read_text()

    folder, chance = tmp_path / "killed", random.Random(int(os.environ.get("ASD_KILL_SEED", "0")))
    killed = 0
    while killed < KILLS:
        process = sweep(forks, folder, arguments)
        process.join(chance.uniform(*MOMENTS))
        if process.exitcode is None:
            with suppress(ProcessLookupError):  # it may end by itself at this very moment
                os.killpg(process.pid, signal.SIGKILL)
            process.join()
        if process.exitcode == -signal.SIGKILL:
            killed += 1
            continue
        # Through before its time: begin anew, with another seed, so that there is work to kill.
        assert process.exitcode == 0, (folder / "output.log").read_text()
        assert results(folder) == results(tmp_path / "undisturbed")
        folder = tmp_path / f"killed{killed}"
    last = sweep(forks, folder, arguments)
    last.join(300)
    said = (folder / "output.log").read_text()
    assert last.exitcode == 0, said

    assert results(folder) == results(tmp_path / "undisturbed")
    database = folder / "mlruns" / "mlflow.db"
    with sqlite3.connect(database) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
        runs = connection.execute(
            "select r.status, t.value from runs r left join tags t"
            " on t.run_uuid = r.run_uuid and t.key = 'identity' where lifecycle_stage = 'active'"
        ).fetchall()
    assert Counter(status for status, _ in runs) == {"FINISHED": 6}
    assert {key for _, key in runs} == set(results(folder))
    for path in (folder / "runs").glob("*/run.json"):
        record = json.loads(path.read_text())
        epochs = [
            [int(line.split(",")[0]) for line in p.read_text().splitlines()[1:]]
            for p in path.parent.glob("models/*/history.csv")
        ]
        assert epochs == [list(range(12))] * (2 if record["tags"]["experiment"] == "b" else 1)
