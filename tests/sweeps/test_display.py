from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from asd.experiment.run_folder import FAILED, FINISHED, RUNNING, RunFolder
from asd.sweeps import workers
from asd.sweeps.cells import Cell
from asd.sweeps.display import Display
from asd.sweeps.sweep_status import failure_lines
from asd.sweeps.workers import work


def cell(folder: Path, number: int, epochs: int = 0) -> Cell:
    """A run that may train ten epochs, and has trained so many."""
    path = folder / f"run{number}"
    history = path / "models" / "shared" / "history.csv"
    if epochs:
        history.parent.mkdir(parents=True, exist_ok=True)
        history.write_text("epoch,val/loss\n" + "0,1.0\n" * epochs)
        RunFolder(path).update(status=RUNNING)
    return Cell(number, (f"seed={number}",), f"U seed {number}", path, epochs=10)


def test_a_log_has_a_line_a_run_and_failures_decide_how_it_ends(tmp_path: Path) -> None:
    cells = [cell(tmp_path, number, epochs=1) for number in range(4)]
    cells.append(Cell(4, (), "U", refusal="seed=x"))
    RunFolder(tmp_path / "run3").update(status=FINISHED)
    out = io.StringIO()
    display = Display("paper", lambda: cells, "one", Console(file=out, width=20))
    with display.bars:
        assert (display.total, display.before) == (5, 2)
        RunFolder(tmp_path / "run0").update(status=FINISHED)
        display.look()
        error = {"message": "no memory"}
        RunFolder(tmp_path / "run1").update(status=FAILED, error=error, sweep="one")
        display.look()
        display.look()
        assert (display.left, [one.number for one in display.open]) == (True, [2])
    assert [line.split(" (")[0] for line in out.getvalue().splitlines()] == [
        "[3/5] U seed 0: finished", "[4/5] U seed 1: FAILED: no memory",
    ]  # fmt: skip
    assert list(failure_lines(cells)) == [
        "FAILED U seed 1: no memory", "  run again: python -m asd.train seed=1",
        "FAILED U: seed=x", "  run again: python -m asd.train",
    ]  # fmt: skip


def test_time_left_is_told_from_the_second_run_on_and_leaves_the_first_out(tmp_path: Path) -> None:
    """The first run has the imports and the features; very short ones end several in one look."""
    cells = [cell(tmp_path, number) for number in range(6)]
    out = io.StringIO()
    display = Display("paper", lambda: cells, "one", Console(file=out, width=200))
    clock = [1000.0]
    display.bars.get_time = lambda: clock[0]

    def said(seconds: float, *ended: int) -> list[str]:
        clock[0] += seconds
        for number in ended:
            RunFolder(tmp_path / f"run{number}").update(status=FINISHED)
        before = len(out.getvalue())
        display.look()
        return [line.partition(": ")[2] for line in out.getvalue()[before:].splitlines()]

    with RunFolder(tmp_path / "run1").lock():
        assert said(150.0, 0) == ["finished (0:00:00)"]
        cell(tmp_path, 1, epochs=5)  # half a run since the first one ended
        assert said(20.0) == []
        cell(tmp_path, 1, epochs=8)
        assert said(20.0) == []
    # Two runs in 80 s since the first one ended; three are left.
    assert said(40.0, 1, 2) == [
        "finished (0:01:20); about 0:02:00 left", "finished (0:00:00); about 0:02:00 left",
    ]  # fmt: skip
    assert said(20.0, 3, 4) == ["finished (0:00:00); about 0:00:25 left"] * 2
    assert said(5.0, 5) == ["finished (0:00:00)"]


def test_a_terminal_shows_bars_of_the_running_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "PERIOD", 0.01)
    cells = [cell(tmp_path, number, epochs=4) for number in range(3)]
    console = Console(file=io.StringIO(), force_terminal=True, width=100, height=20)
    plain = Console(file=io.StringIO(), width=100)

    def shown() -> str:
        with plain.capture() as captured:
            plain.print(display.bars.get_renderable())
        return captured.get()

    texts: list[str] = []

    def here() -> None:
        while len(texts) < 500 and not (texts and "running" in texts[-1]):
            time.sleep(0.01)
            texts.append(shown())

    display = Display("paper", lambda: cells, console=console)
    first, second = (RunFolder(tmp_path / f"run{number}") for number in range(2))
    with display.bars, first.lock(), second.lock():
        work(display, None, here)
    assert texts[-1].count(" 40%") == 2
    assert "paper: 0/3 done, 2 running" in texts[-1]
    assert len(texts[-1].splitlines()) == 3
