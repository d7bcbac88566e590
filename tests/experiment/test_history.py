"""The losses of epochs, written one by one."""

from __future__ import annotations

from pathlib import Path

from asd.experiment.history import read_history, write_history


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
