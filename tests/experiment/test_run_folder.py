from __future__ import annotations

import errno
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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


@pytest.mark.parametrize("content", [b"[]", b'{"tags": []}', b"\xff\x00", b"[" * 100_000, None])
def test_whatever_stands_in_a_record_is_read_or_refused(
    content: bytes | None, tmp_path: Path
) -> None:
    if content is None:
        os.mkfifo(tmp_path / "run.json")
    else:
        (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(AsdError, match=r"run\.json: damaged"):
        RunFolder(tmp_path).record()


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Of a user who may only read it."""
    folder.chmod(0o555)
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)
        folder.chmod(0o755)


def test_a_folder_that_may_only_be_read_is_named() -> None:
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        folder = RunFolder(Path(place) / "run")
        with folder.lock():
            folder.update(status="FINISHED")
        with read_only(folder.path):
            assert folder.record() == {"status": "FINISHED"}
            assert not folder.is_held()
            with pytest.raises(AsdError, match=r"cannot be locked: Permission denied"):
                folder.lock().__enter__()


def test_a_disk_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_lock(file: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_lock)
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(AsdError, match=r"cannot be locked: No locks available; set paths\.runs"):
        folder.lock().__enter__()
    assert not folder.is_held()


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
