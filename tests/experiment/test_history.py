"""The losses of epochs, written one by one."""

from __future__ import annotations

from pathlib import Path

import pytest

from asd.errors import AsdError
from asd.experiment.history import read_history, scoring_loss, write_history


def test_rows_are_read_back_but_for_one_cut_by_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    assert read_history(path) == []
    rows = [{"epoch": n, "train/loss": 0.1 + n, "val/loss": 1e-17} for n in range(2)]
    write_history(path, rows)
    with path.open("a") as stream:
        stream.write("2,0.5,")
    assert read_history(path) == rows
    write_history(path, [])
    assert read_history(path) == []


def test_a_minimum_over_a_part_of_the_epochs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    rows = [{"epoch": n, "val/loss": loss} for n, loss in enumerate([3.0, 1.0, 2.0])]
    write_history(path, rows)
    assert (scoring_loss(path, "best"), scoring_loss(path, "last")) == (1.0, 2.0)
    for kept in ([], rows[:1] + rows[2:], rows[2:]):
        write_history(path, kept)
        with pytest.raises(AsdError, match=r"history\.csv: epochs are missing"):
            scoring_loss(path, "best")


@pytest.mark.parametrize("content", [b"\xff\x00\x81" * 50, b"epoch,val/loss\n0,low\n", b"a\n1\n"])
def test_a_damaged_file_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_bytes(content)
    with pytest.raises(AsdError, match=r"history\.csv"):
        read_history(tmp_path / "history.csv")
