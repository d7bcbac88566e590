from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig

from asd.composition import folder_of, register_resolvers
from asd.experiment.run_folder import FAILED, FINISHED, KILLED, RUNNING, RunFolder
from asd.sweeps.cells import Cell, Cells


@pytest.fixture
def hydra() -> Iterator[tuple[ConfigLoader, DictConfig]]:
    register_resolvers()
    with initialize_config_dir(str(folder_of("conf")), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        yield loader, loader.load_configuration("config", [], RunMode.MULTIRUN)


def test_a_cell_is_the_run_of_its_options(
    hydra: tuple[ConfigLoader, DictConfig], shared_data: list[str], tmp_path: Path
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
    folders = [c.folder.path.name if c.folder else None for c in cells]
    assert folders[0] == folders[1]  # the same science, asked for in two ways
    assert str(folders[0]).startswith("ss_0.5-simulated-tiny-seed3-")
    assert folders[2:] == [folders[2], None, None, None]
    assert [c.models for c in cells[:3]] == [1, 1, 6]
    assert [c.state() for c in cells] == ["missing"] * 3 + ["refused"] * 3
    assert "model.filters" in str(cells[3].error)
    assert "must be one of" in str(cells[4].error) or "scope/both" in str(cells[4].error)
    assert "sede" in str(cells[5].error)
    assert cells[5].label == "+experiment=b sede=4"


def test_what_a_run_folder_says_is_the_cells_state(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    cell = Cell(0, ("seed=0",), "U", folder, models=2, epochs=4)
    assert (cell.state(), cell.progress()) == ("missing", 0.0)
    for machine, rows in (("fan", 4), ("pump", 1)):
        history = folder.model(machine) / "history.csv"
        history.parent.mkdir(parents=True)
        history.write_text("epoch,val/loss\n" + "0,1\n" * rows)
    folder.update(status="RUNNING")
    assert cell.state() == "cut"  # nobody holds it: its process is dead
    with folder.lock():
        assert cell.state() == "running"
        assert cell.progress() == 5 / 8
    (folder.model("fan") / "scores.csv").write_text("")
    (folder.model("fan") / "history.csv").write_text("epoch,val/loss\n0,1\n")  # stopped early
    assert cell.progress() == 5 / 8
    for status, state in (("FAILED", "failed"), ("KILLED", "cut"), ("FINISHED", "done")):
        folder.update(status=status)
        assert cell.state() == state
    assert cell.progress() == 1.0


def test_a_corpus_to_be_simulated_is_only_made_when_asked_for(
    hydra: tuple[ConfigLoader, DictConfig], tmp_path: Path
) -> None:
    overrides = [["scale=tiny", "data.machines=[fan]", f"data.root={tmp_path / 'data'}"]]
    (cell,) = Cells(*hydra, make=False).of(overrides)
    assert (cell.state(), cell.folder) == ("missing", None)
    assert not (tmp_path / "data").exists()
    (cell,) = Cells(*hydra).of(overrides)
    assert cell.folder is not None


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return Cell(0, ("seed=0",), "U", RunFolder(tmp_path / "run"))


def test_deaths_are_counted_once_and_for_the_sweep_that_they_happened_in(
    cell: Cell, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    assert cell.count_deaths("one") == 0
    assert not folder.path.exists()
    folder.path.mkdir()
    folder.update(status=RUNNING)
    assert cell.count_deaths(None) == 0  # before any sweep
    for sweep, deaths in (("one", 1), ("one", 2), ("other", 1)):
        folder.update(status=RUNNING)
        with folder.lock():
            assert cell.state() == "running"
        assert [cell.count_deaths(sweep) for _ in range(2)] == [deaths, deaths]
        assert folder.record()["status"] == KILLED
    assert cell.count_deaths("one") == 2
    assert cell.record()["sweep"] == "other"  # which began it


def test_a_sweep_is_through_with_what_is_finished_or_failed_in_it(
    cell: Cell, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.update(status=FAILED)
    assert not cell.is_through("one")
    cell.sign("one")
    assert cell.is_through("one")
    assert not cell.is_through("other")
    folder.update(status=FINISHED)
    assert cell.is_through("other")
    anew = Cell(0, ("seed=0", "force=true"), "U", cell.folder)
    assert anew.is_through("one")
    assert not anew.is_through("other")
    folder.update(mlflow={}, published=False)
    assert not cell.is_through("other")
