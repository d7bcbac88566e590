from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from asd.evaluate import main
from asd.scoring.clip_scores import write_scores

ROOT = Path(__file__).parents[1]
Capture = pytest.CaptureFixture[str]


def make_run(folder: Path, **run: object) -> pd.DataFrame:
    numbers = range(24)
    frame = pd.DataFrame({"machine": "fan", "id": ["00"] * 20 + ["02"] * 4})
    frame["file"] = [f"fan/{i}.wav" for i in numbers]
    frame["label"] = [0] * 10 + [1] * 10 + [0] * 4
    frame["score"] = [float(i * 7 % 23) for i in numbers]
    write_scores(folder / "scores.csv", frame)
    (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    return frame


def test_a_run_folder_prints_and_writes_its_tables(tmp_path: Path, capsys: Capture) -> None:
    frame = make_run(tmp_path, title="U, seed 3", data_label="SIMULATED", max_fpr=0.2)
    assert main([str(tmp_path), "--max-fpr", "0.5", "--no-write"]) == 0
    assert "[0, 0.5]" in capsys.readouterr().out
    assert not (tmp_path / "tables").exists()
    assert main([str(tmp_path)]) == 0
    out = capsys.readouterr().out
    files = tmp_path / "tables" / "tables.md"
    for text in ("U, seed 3", "Data: SIMULATED", "fan id_02: no anomaly clip", "[0, 0.2]", files):
        assert str(text) in out
    known = frame[frame["id"] == "00"]
    areas = [roc_auc_score(known["label"], known["score"], max_fpr=p) for p in (None, 0.2)]
    cells = " | ".join(f"{100 * area:.2f}" for area in areas)
    assert f"| fan | id_00 | {cells} |" in files.read_text()


def test_a_scores_file_alone(tmp_path: Path, capsys: Capture) -> None:
    make_run(tmp_path, title="not this file's")
    (tmp_path / "scores.csv").rename(tmp_path / "other.csv")
    assert main([str(tmp_path / "other.csv")]) == 0
    out = capsys.readouterr().out
    assert all(text in out for text in ("other.csv", "data not stated", "[0, 0.1]"))
    assert "not this file's" not in out
    assert (tmp_path / "tables_other" / "tables.md").is_file()


@pytest.mark.parametrize(
    ("run", "arguments", "message"),
    [
        ("{", [], "run.json: damaged"),
        ('{"max_fpr": "0.1"}', [], "run.json: max_fpr=0.1: must be a number above 0"),
        ('{"max_fpr": 2}', [], "run.json: max_fpr=2"),
        ("{}", ["--max-fpr", "2"], "--max-fpr=2"),
        ("{}", ["bad.csv"], "error: bad.csv: columns missing"),
    ],
)
def test_bad_input_is_named_and_nothing_written(
    tmp_path: Path, monkeypatch: Any, capsys: Capture, run: str, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "a")
    Path("bad.csv").write_text("machine,id\n")
    Path("a/run.json").write_text(run)
    assert main(["a", *arguments]) == 2
    streams = capsys.readouterr()
    assert message in streams.err and streams.out == ""
    assert not Path("a/tables").exists()


def test_as_a_program_without_torch_in_an_ascii_terminal(tmp_path: Path) -> None:
    make_run(tmp_path, title="U — über")
    code = (
        "import sys; from asd.evaluate import main; status = main(sys.argv[1:]);"
        "heavy = {'torch', 'mlflow', 'sklearn', 'hydra', 'numba', 'librosa'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else status)"
    )
    environment = {"PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, cwd=ROOT, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"U ? ?ber" in done.stdout
    assert "U — über" in (tmp_path / "tables" / "tables.md").read_text(encoding="utf-8")


def test_a_reader_that_goes_away_is_no_fault(tmp_path: Path) -> None:
    make_run(tmp_path)
    command = [sys.executable, "-m", "asd.evaluate", str(tmp_path), "--no-write"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, cwd=ROOT) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.mark.parametrize("target", [".", "nothing", "nothing.csv"])
def test_what_has_no_scores_is_named(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([target]) == 2
    assert capsys.readouterr().err.startswith(f"error: {target}: no ")
