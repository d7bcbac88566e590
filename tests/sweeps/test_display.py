from __future__ import annotations

import io
import time
from pathlib import Path

from rich.console import Console

from asd.experiment.run_folder import RunFolder
from asd.sweeps.cells import Cell
from asd.sweeps.display import Display, duration


def cell(number: int, folder: Path | None = None, models: int = 1) -> Cell:
    run = None if folder is None else RunFolder(folder)
    return Cell(number, (f"seed={number}",), f"U seed {number}", run, models, epochs=10)


def test_a_log_has_a_line_a_run() -> None:
    out = io.StringIO()
    with Display("paper", 4, done=1, console=Console(file=out, width=20)) as display:
        for number in range(3):
            display.started(cell(number))
        display.ended(cell(0), None, "finished, mean AUC 71.00")
        display.ended(cell(1), ValueError("no"), "FAILED: no")
        display.ended(cell(2), None, "finished")
    lines = out.getvalue().splitlines()
    assert [line.split(" (")[0] for line in lines] == [
        "[2/4] U seed 0: finished, mean AUC 71.00", "[3/4] U seed 1: FAILED: no",
        "[4/4] U seed 2: finished",
    ]  # fmt: skip
    assert ["left" in line for line in lines] == [True, True, False]
    assert display.failed == 1


def test_time_left_counts_what_running_jobs_have_done(tmp_path: Path) -> None:
    display = Display("paper", 4, console=Console(file=io.StringIO()))
    assert display.left() is None
    display._began = time.monotonic() - 10
    display._shares = {0: 0.5, 1: 0.5}
    left = display.left()
    assert left is not None
    assert 29 < left < 32  # one of four took ten seconds


def test_time_left_does_not_count_what_came_before_the_first_epoch() -> None:
    display = Display("paper", 2, console=Console(file=io.StringIO()))
    now = time.monotonic()
    display._began, display._first_epoch = now - 1000, now - 10
    display._first_shares, display._shares = {0: 0.1}, {0: 0.6}
    left = display.left()
    assert left is not None
    assert 27 < left < 30  # half a run took ten seconds, and 1.4 are left


def test_a_terminal_shows_bars_of_the_running_ones(tmp_path: Path) -> None:
    history = tmp_path / "models" / "shared" / "history.csv"
    history.parent.mkdir(parents=True)
    history.write_text("epoch,val/loss\n" + "".join(f"{i},1.0\n" for i in range(4)))
    RunFolder(tmp_path).update(status="RUNNING")
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, height=20)
    with Display("paper", 30, console=console) as display:
        display._stop.set()
        for number in range(10):
            display.started(cell(number, tmp_path))
        display._shares[0] = cell(0, tmp_path).progress()
        plain = Console(file=io.StringIO(), width=100)
        with plain.capture() as shown:
            plain.print(display._picture())
    text = shown.get()
    assert "paper: 0/30 done, 10 running" in text
    assert " 40 %" in text.splitlines()[1]
    assert "and 2 more" in text
    assert len(text.splitlines()) == 10


def test_durations() -> None:
    assert [duration(s) for s in (0.4, 99, 150, 7500)] == ["0 s", "99 s", "2 min", "2 h 5 min"]
