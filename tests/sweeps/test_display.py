from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from asd.experiment.run_folder import RunFolder
from asd.sweeps.cells import Cell
from asd.sweeps.display import Display


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
    assert display.failed == 1
    assert not display.left()


def test_time_left_counts_what_is_done_from_the_first_epoch_that_was_seen() -> None:
    display, clock = Display("paper", 4, console=Console(file=io.StringIO())), [1000.0]
    display.bars.get_time = lambda: clock[0]
    display._worked(cell(0), 0.6)  # by an earlier start
    assert display.left() is None
    for share in (0.7, 0.8, 0.9):
        clock[0] += 10.0
        display._worked(cell(0), share)
    assert display.left() == pytest.approx(310, abs=1)  # 3.1 runs are left, at 0.1 in 10 s
    clock[0] += 10.0
    display.ended(cell(0), None, "finished")
    assert display.left() == pytest.approx(300, abs=1)


def test_a_terminal_shows_bars_of_the_running_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asd.sweeps.display._PERIOD", 0.01)
    history = tmp_path / "models" / "shared" / "history.csv"
    history.parent.mkdir(parents=True)
    history.write_text("epoch,val/loss\n" + "".join(f"{i},1.0\n" for i in range(4)))
    RunFolder(tmp_path).update(status="RUNNING")
    console = Console(file=io.StringIO(), force_terminal=True, width=100, height=20)
    plain = Console(file=io.StringIO(), width=100)
    with Display("paper", 30, console=console) as display:
        for number in range(3):
            display.started(cell(number, tmp_path))
        display.stopped(cell(2))
        for _ in range(500):
            if (text := shown(plain, display)).count(" 40") == 2 and "running" in text:
                break
            time.sleep(0.01)
    assert text.count(" 40") == 2
    assert "paper: 0/30 done, 2 running" in text
    assert len(text.splitlines()) == 3


def shown(plain: Console, display: Display) -> str:
    with plain.capture() as captured:
        plain.print(display.bars.get_renderable())
    return captured.get()
