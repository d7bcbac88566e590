"""A journal survives kills at any byte, and is one watch's alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from asd.errors import AsdError
from asd.monitoring.journal import open_journal


def test_a_line_cut_anywhere_is_as_if_it_had_not_been_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "watch.jsonl"
    with open_journal(path) as journal:
        journal.add('{"time": 1, "file": "a.wav"}')
        journal.add('{"time": 2, "file": "Lüfter.wav"}')
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(first, len(whole)):
        path.write_bytes(whole[:cut])
        with open_journal(path) as journal:
            assert [*journal.entries()] == [{"time": 1, "file": "a.wav"}]
            journal.add('{"time": 3}')
            assert [*journal.entries()][1:] == [{"time": 3}]
        assert path.read_bytes() == whole[:first] + b'{"time": 3}\n'


def test_the_end_of_a_long_one_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "watch.jsonl"
    line = b'{"time": 1, "file": "' + b"a" * 900 + b'"}\n'
    path.write_bytes(200 * line + line[:500])
    with open_journal(path) as journal:
        assert len([*journal.entries()]) == 200
    assert path.read_bytes() == 200 * line


@pytest.mark.parametrize("content", ["buy oil", "buy oil\n", '{"time": 1}\n[1]\n', '{"a": 1}'])
def test_what_is_not_a_journal_is_left_alone(content: str, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(content)
    with pytest.raises(AsdError, match="is none of a watch's"), open_journal(path) as journal:
        list(journal.entries())
    assert path.read_text() == content


def test_two_watches_never_share_one(tmp_path: Path) -> None:
    path = tmp_path / "watch.jsonl"
    with open_journal(path), pytest.raises(AsdError, match="another watch"), open_journal(path):
        pass
    with open_journal(path):
        pass
    with pytest.raises(AsdError, match="cannot be opened"), open_journal(tmp_path):
        pass


def test_a_journal_that_was_moved_away_or_cannot_grow_is_said(tmp_path: Path) -> None:
    path = tmp_path / "watch.jsonl"
    with (
        pytest.raises(AsdError, match="another file took its"),
        open_journal(path) as journal,
    ):
        path.rename(tmp_path / "watch.jsonl.1")
        path.touch()
        journal.add('{"time": 1}')
    assert not (tmp_path / "watch.jsonl.1").read_bytes()
    code = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))\n"
        "from pathlib import Path\n"
        "from asd.monitoring.journal import open_journal\n"
        f"with open_journal(Path({str(path)!r})) as journal:\n"
        "    for n in (1, 2):\n"
        "        journal.add('{\"time\": %d}' % n)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.endswith("watch.jsonl: cannot be written: File too large; mend it\n")
    with open_journal(path) as journal:  # what was cut is gone
        assert [*journal.entries()] == [{"time": 1}]
    (tmp_path / "same").symlink_to(path)
    with open_journal(path), pytest.raises(AsdError, match="another watch"):
        open_journal(tmp_path / "same").__enter__()
    with pytest.raises(AsdError, match="no regular file"), open_journal(Path(os.devnull)):
        pass
