from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from asd.errors import AsdError
from asd.files import replacing, write_text


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_appears_whole_in_a_folder_that_is_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.txt"
    write_text(path, "ein Wört\r\n")
    assert path.read_bytes() == "ein Wört\r\n".encode()
    assert [p.name for p in path.parent.iterdir()] == ["x.txt"]


def test_what_stood_there_stays_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    write_text(path, "before")
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    with largest_file(4096), pytest.raises(AsdError, match=r"x\.txt: cannot be written.*unchanged"):
        write_text(path, "y" * 10_000)
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("")
    with pytest.raises(AsdError, match=r"folder/x\.txt: cannot be written"):
        write_text(tmp_path / "folder" / "x.txt", "y")
