from __future__ import annotations

import logging
from pathlib import Path

import pytest

from asd.errors import AsdError
from asd.experiment.run_folder import RunFolder, find_run, set_aside


def test_record_is_kept_and_changed_and_named_when_damaged(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.record() == {}
    folder.update(status="RUNNING", pid=1)
    folder.update(status="FINISHED")
    assert folder.record() == {"status": "FINISHED", "pid": 1}
    (tmp_path / "run.json").write_text('{"status": ')
    with pytest.raises(AsdError, match=r"run\.json: damaged"):
        folder.record()


def test_two_holders_are_refused(tmp_path: Path) -> None:
    first, second = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "run")
    with first.lock():
        first.update(pid=4711)
        with pytest.raises(AsdError, match="pid 4711"), second.lock():
            pass
    with second.lock():
        pass


def test_an_identity_is_found_under_any_name_and_set_aside_without_loss(tmp_path: Path) -> None:
    for content in ("one", "two"):
        folder = find_run(tmp_path, "u", "abc")
        assert folder.path == tmp_path / "u-abc"
        folder.path.mkdir()
        folder.scores.write_text(content)
        assert find_run(tmp_path, "custom", "abc").path == folder.path
        assert find_run(tmp_path, "custom", "abd").path == tmp_path / "custom-abd"
        set_aside(folder)
    kept = [(tmp_path / f"u-abc~{n}" / "scores.csv").read_text() for n in (1, 2)]
    assert kept == ["one", "two"]


def test_what_is_logged_meanwhile_is_in_the_file(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with folder.logging_to_file():
        logging.getLogger("asd.test").warning("inside")
    logging.getLogger("asd.test").warning("outside")
    assert "inside" in folder.log_file.read_text()
    assert "outside" not in folder.log_file.read_text()
