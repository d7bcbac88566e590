"""A journal survives kills at any byte, and is one watch's alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from asd.errors import AsdError
from asd.monitoring.journal import opened


def test_a_line_cut_anywhere_is_as_if_it_had_not_been_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "watch.jsonl"
    with opened(path) as journal:
        journal.add({"file": "a.wav", "score": 0.1})
        journal.add({"file": "Lüfter.wav", "score": None})
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(first, len(whole)):
        path.write_bytes(whole[:cut])
        with opened(path) as journal:
            assert journal.entries == [{"file": "a.wav", "score": 0.1}]
            journal.add({"file": "b.wav"})
        assert path.read_bytes() == whole[:first] + b'{"file": "b.wav"}\n'


def test_what_is_not_a_journal_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("{}\nbuy oil\n")
    with pytest.raises(AsdError, match="line 2 is none of a watch's: 'buy oil'"), opened(path):
        pass
    assert path.read_text() == "{}\nbuy oil\n"


def test_two_watches_never_share_one(tmp_path: Path) -> None:
    path = tmp_path / "watch.jsonl"
    with opened(path), pytest.raises(AsdError, match="another watch"), opened(path):
        pass
    with pytest.raises(AsdError, match="cannot be opened"), opened(tmp_path):
        pass
