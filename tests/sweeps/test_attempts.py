from __future__ import annotations

from pathlib import Path

import pytest

from asd.experiment.run_folder import FAILED, FINISHED, KILLED, RUNNING, RunFolder
from asd.sweeps.attempts import WorkerRole, count_deaths, is_through, sign
from asd.sweeps.cells import Cell


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return Cell(0, ("seed=0",), "U", RunFolder(tmp_path / "run"))


def folder_of(cell: Cell) -> RunFolder:
    assert cell.folder is not None
    return cell.folder


def test_deaths_are_counted_once_and_for_the_sweep_that_they_happened_in(cell: Cell) -> None:
    assert count_deaths(cell, "one") == 0
    assert not folder_of(cell).path.exists()
    folder_of(cell).path.mkdir()
    folder_of(cell).update(status=RUNNING)
    assert count_deaths(cell, None) == 0  # before any sweep
    for sweep, deaths in (("one", 1), ("one", 2), ("other", 1)):
        folder_of(cell).update(status=RUNNING)
        with folder_of(cell).lock():
            assert cell.state() == "running"
        assert [count_deaths(cell, sweep) for _ in range(2)] == [deaths, deaths]
        assert folder_of(cell).record()["status"] == KILLED
    assert count_deaths(cell, "one") == 2
    assert cell.record()["sweep"] == "other"  # which began it


def test_a_sweep_is_through_with_what_is_finished_or_failed_in_it(cell: Cell) -> None:
    folder_of(cell).path.mkdir()
    folder_of(cell).update(status=FAILED)
    assert not is_through(cell, cell.state(), "one")
    sign(cell, "one")
    assert is_through(cell, cell.state(), "one")
    assert not is_through(cell, cell.state(), "other")
    folder_of(cell).update(status=FINISHED)
    assert is_through(cell, cell.state(), "other")
    anew = Cell(0, ("seed=0", "force=true"), "U", cell.folder)
    assert is_through(anew, anew.state(), "one")
    assert not is_through(anew, anew.state(), "other")
    folder_of(cell).update(mlflow={}, published=False)
    assert not is_through(cell, cell.state(), "other")


def test_a_worker_knows_its_role(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASD_WORKER", "20260101-one-1 3 4")
    assert WorkerRole.of_this_process() == WorkerRole("20260101-one-1", 3, 4)
