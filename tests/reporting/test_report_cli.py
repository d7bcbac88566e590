"""The report's command line: flags and files."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
import pytest

from asd.report import main, parse

Capture = pytest.CaptureFixture[str]


def test_names_with_equal_signs_are_flags_or_choose_runs() -> None:
    words = ["compare=[u, ss_0.5]", "data=simulated", "+scale=small", 'compare=["u a=[1,2]",b]']
    options, wanted = parse([*words, "confidence=0.9", "--runs", "x", "out=http://u?a=b", "seed=0"])
    assert options.compare == [["u", "ss_0.5"], ["u a=[1,2]", "b"]]
    assert (options.confidence, options.runs, options.out) == (0.9, "x", "http://u?a=b")
    assert wanted == {"data": ["simulated"], "scale": ["small"], "seed": ["0"]}


@pytest.fixture
def folder(runs: Any) -> Path:
    for seed in (0, 1):
        runs.write("u", seed, 1.5)
    runs.write("ss_0.5", 0, 0.5)
    return Path(runs.path)


def test_all_files_are_written_and_agree(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    common = [f"runs={folder}", "resamples=50", f"out={out}", "compare=[u,ss_0.5]"]
    assert main([*common, "--no-write"]) == 0
    shown = capsys.readouterr().out
    for name in ("U has the highest mean AUC", "Provenance"):
        assert name in shown
    assert not out.exists()
    assert main([*common, "--no-pictures"]) == 0
    shown = capsys.readouterr().out
    assert "AUC (Table 1 of the paper) in percent. SIMULATED, demo scale (small)" in shown
    assert "…" not in shown  # nothing is cut off
    typed = ("asd.train", "wrote")  # to be copied: not folded
    assert max(len(x) for x in shown.splitlines() if not any(t in x for t in typed)) <= 80
    rows = csv.DictReader((out / "tables.csv").read_text().splitlines())
    cell = next(r for r in rows if (r["system"], r["machine"], r["metric"]) == ("U", "fan", "auc"))
    assert cell["n"] == "2" and cell["seeds"] == "0 1" and cell["simulated"] == "True"
    assert cell["difference_points"] == "" and cell["published_real_data_percent"] == "79.870000"
    mean = f"{float(cell['mean_percent']):.2f}"
    for name in ("report.html", "report.md", "tables.tex"):
        text = (out / name).read_text()
        assert mean in text and "SIMULATED" in text, name
    assert mean in shown
    compared = pd.read_csv(out / "comparisons.csv")
    assert set(compared["machine"]) >= {"fan", "mean"} and (compared["a"] == "U").all()
    assert len(pd.read_csv(out / "per_id.csv")) == 2 * 2 * 12
    assert (out / "report.md").read_text().startswith("# The paper's grid: 3 runs used of 3, SIM")
    assert "claims are checked on the whole real corpus" in shown and "HELD" not in shown
    written = {path: path.read_bytes() for path in out.iterdir()}
    for chosen in ("scale=paper", f"runs={out}"):
        assert main([*common, chosen]) == 2
        assert "no finished run" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in out.iterdir()} == written


def test_the_page_needs_nothing_else_and_holds_the_pictures(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (folder / "u-simulated-seed0" / "pictures").mkdir()
    picture = Path(mpl.get_data_path()) / "images" / "home.png"
    shutil.copy(picture, folder / "u-simulated-seed0" / "pictures" / "roc.png")
    keep = [f"--runs={folder}", f"--out={out}", "--resamples=20"]
    assert main([*keep, "--compare", "u", "ss_0.5"]) == 0
    addresses = re.findall(r'(?:src|href)="(.*?)"', (out / "report.html").read_text())
    pictures = [a for a in addresses if a.startswith("data:image/png;base64,")]
    assert len(pictures) == 3  # two overviews, and the run's own
    links = [a for a in addresses if a not in pictures and not a.startswith("#")]
    assert {(out / link).resolve() for link in links} == set(folder.iterdir())  # the runs
    keep.append("experiment=u")
    # What the next report does not write again does not stay beside it.
    older = {*out.rglob("*.png"), out / "comparisons.csv"}
    (out / "mine.txt").write_text("")
    assert main([*keep, "--no-pictures"]) == 0
    assert len(older) == 3 and not any(path.exists() for path in older)
    assert (out / "mine.txt").exists() and (out / "report.html").exists()
    assert main(keep) == 0
    for link in re.findall(r"\]\((.*?)\)", (out / "report.md").read_text()):
        assert (out / link).exists()


def test_a_command_that_is_proposed_is_of_the_same_runs(runs: Any, tmp_path: Path) -> None:
    for size in (4, 8):
        runs.write("u", options=f"trainer.batch_size={size}", name=f"{size}")
    asked = [f"runs={runs.path}", "experiment=u,b", "data=simulated"]
    assert main([*asked, f"out={tmp_path}", "resamples=20", "--no-pictures"]) == 0
    proposed = f"python -m asd.report {' '.join(asked)} by=trainer.batch_size"
    assert proposed in (tmp_path / "report.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sweep=nothing"], "no such sweep"),
        (["resamples=0"], "resamples=0"),
        (["confidence=1"], "confidence=1"),
        (["compare=[u,b]"], "no finished run of 'b'"),
        (
            ["trainer.batchsize=4"],
            "No run has trainer.batchsize (did you mean trainer.batch_size?)",
        ),
    ],
)
def test_mistakes_end_with_status_2_and_a_message(
    folder: Path, arguments: list[str], message: str, capsys: Capture
) -> None:
    assert main([f"runs={folder}", "--no-write", *arguments]) == 2
    assert message in capsys.readouterr().err
