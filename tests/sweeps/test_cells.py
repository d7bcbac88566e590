from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import pytest
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig

from asd.composition import folder_of, register_resolvers
from asd.experiment.run_folder import FAILED, FINISHED, KILLED, RUNNING, RunFolder
from asd.sweeps.cells import Cell, Cells

Hydra = tuple[ConfigLoader, DictConfig]


@pytest.fixture
def hydra() -> Iterator[Hydra]:
    register_resolvers()
    with initialize_config_dir(str(folder_of("conf")), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        yield loader, loader.load_configuration("config", [], RunMode.MULTIRUN)


def test_a_cell_is_the_run_of_its_options(
    hydra: Hydra, shared_data: list[str], tmp_path: Path
) -> None:
    common = [*shared_data, f"paths.runs={tmp_path}"]
    combinations = [
        [*common, "+experiment=ss_0.5", "seed=3"],
        [*common, "+experiment=ss", "loss.alpha=0.5", "seed=3"],
        [*common, "+experiment=b", "frontend=mel", "seed=4"],
        [*common, "+experiment=b", "seed=4", "model.filters=3"],
        [*common, "+experiment=b", "scope=both"],
        [*common, "+experiment=b", "sede=4"],
    ]
    cells = list(Cells(*hydra).of(combinations))
    assert [c.number for c in Cells(*hydra).of(combinations[:3], first=2)] == [2, 0, 1]
    assert [c.label for c in cells[:3]] == [*["SS-0.5-0.5 seed 3"] * 2, "B seed 4"]
    assert [c.models for c in cells[:3]] == [1, 1, 6]
    assert [c.state() for c in cells] == ["missing"] * 3 + ["refused"] * 3
    for refused, word in zip(cells[3:], ("model.filters", "scope", "sede"), strict=True):
        assert word in str(refused.refusal)
    assert cells[5].label == "+experiment=b sede=4"


def test_settings_decide_which_run_a_cell_is_and_no_name(
    hydra: Hydra, shared_data: list[str], tmp_path: Path
) -> None:
    half = "model.filters=[16,32,64]"
    asked = [["+experiment=u", half], ["+experiment=u", half, "experiment_name=mine"]]
    cells = list(Cells(*hydra).of([[*shared_data, f"paths.runs={tmp_path}", *a] for a in asked]))
    names = [cell.path.name for cell in cells if cell.path]
    assert names[0] != names[1]
    assert names[0].rsplit("-", 1)[1] == names[1].rsplit("-", 1)[1]
    # Trained under the other one's name, after both were composed.
    folder = RunFolder(tmp_path / names[1])
    folder.path.mkdir()
    folder.update(status=FINISHED)
    assert [cell.state() for cell in cells] == ["done", "done"]
    assert all(cell.is_through("any") for cell in cells)


def test_who_only_looks_or_signs_does_not_train(tmp_path: Path) -> None:
    """Another worker that goes through the cells at a sweep's end made its last line wrong."""
    folder = RunFolder(tmp_path / "run-1")
    cell = Cell(0, ("seed=0",), "U", folder.path)
    for status, state in ((FAILED, "failed"), (KILLED, "cut")):
        folder.update(status=status)
        held, seen = Event(), Event()

        def sign(held: Event = held, seen: Event = seen) -> None:
            with folder.lock():
                held.set()
                seen.wait(0.3)

        other = Thread(target=sign)
        other.start()
        held.wait()
        assert cell.state() == state
        seen.set()
        other.join()


def test_what_a_run_folder_says_is_the_cells_state(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run-1")
    cell = Cell(0, ("seed=0",), "U", folder.path, models=2, epochs=4)
    assert (cell.state(), cell.progress()) == ("missing", 0.0)
    with folder.lock():  # before it has a record
        assert cell.state() == "running"
    for machine, rows in (("fan", 4), ("pump", 1)):
        history = folder.model(machine) / "history.csv"
        history.parent.mkdir(parents=True)
        history.write_text("epoch,val/loss\n" + "0,1\n" * rows)
    folder.update(status=RUNNING)
    assert cell.state() == "cut"  # nobody holds it: its process is dead
    with folder.lock():
        assert (cell.state(), cell.progress()) == ("running", 5 / 8)
    (folder.model("fan") / "scores.csv").write_text("")
    (folder.model("fan") / "history.csv").write_text("epoch,val/loss\n0,1\n")  # stopped early
    assert cell.progress() == 5 / 8
    for status, state in ((FAILED, "failed"), (KILLED, "cut"), (FINISHED, "done")):
        folder.update(status=status)
        assert cell.state() == state
    assert cell.progress() == 1.0


def test_what_a_sweep_does_with_what_died_failed_or_is_to_begin_anew(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run-1")
    cell = Cell(0, ("seed=0",), "U", folder.path)
    folder.path.mkdir()
    for sweep, deaths in ((None, 1), ("one", 1), ("one", 2), ("other", 1), ("one", 1)):
        folder.update(status=RUNNING)
        with folder.lock():
            assert not cell.is_free("one")
        assert [cell.count_deaths(sweep) for _ in range(2)] == [deaths, deaths]
        assert folder.record()["status"] == KILLED
    for free in (True, False):
        folder.update(status=RUNNING)
        assert cell.is_free("one") == free
    assert cell.failure() == "its process died 3 times (out of memory?)"
    anew = replace(cell, overrides=("seed=0", "force=true"))
    # Failed in sweep one; then finished; then without a copy in its tracker.
    for changes, through in ({}, False), ({"status": FINISHED}, True), ({"mlflow": {}}, True):
        folder.update(**changes)
        assert (cell.is_through("one"), cell.is_through("other")) == (True, through)
        assert (anew.is_through("one"), anew.is_through("other")) == (True, False)
    folder.update(published=False)
    assert (cell.is_through("one"), cell.is_through("other")) == (True, False)
