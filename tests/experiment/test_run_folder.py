from __future__ import annotations

import logging
from pathlib import Path

import pytest

from asd.errors import AsdError
from asd.experiment.run_folder import RunFolder, find_run, set_aside


def test_record_is_kept_and_changed(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.record() == {}
    folder.update(status="RUNNING", pid=1)
    folder.update(status="FINISHED")
    assert folder.record() == {"status": "FINISHED", "pid": 1}


def test_damaged_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"status": ')
    with pytest.raises(AsdError, match=r"run\.json: damaged"):
        RunFolder(tmp_path).record()


def test_two_holders_are_refused(tmp_path: Path) -> None:
    first, second = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "run")
    with first.lock():
        first.update(pid=4711)
        with pytest.raises(AsdError, match="pid 4711"), second.lock():
            pass
    with second.lock():
        pass


def test_same_identity_is_the_same_folder_under_any_name(tmp_path: Path) -> None:
    first = find_run(tmp_path, "u-fan", "abc")
    first.path.mkdir()
    assert find_run(tmp_path, "custom", "abc").path == first.path
    assert find_run(tmp_path, "custom", "abd").path == tmp_path / "custom-abd"


def test_set_aside_loses_nothing(tmp_path: Path) -> None:
    for content in ("one", "two"):
        folder = find_run(tmp_path, "u", "abc")
        folder.path.mkdir()
        folder.scores.write_text(content)
        set_aside(folder)
    assert (tmp_path / "u-abc~1" / "scores.csv").read_text() == "one"
    assert (tmp_path / "u-abc~2" / "scores.csv").read_text() == "two"
    assert not find_run(tmp_path, "u", "abc").path.exists()


def test_what_is_logged_meanwhile_is_in_the_file(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with folder.logging_to_file():
        logging.getLogger("asd.test").warning("inside")
    logging.getLogger("asd.test").warning("outside")
    assert "inside" in folder.log_file.read_text()
    assert "outside" not in folder.log_file.read_text()
