from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from asd.errors import AsdError
from asd.evaluate import main, resolve
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


def test_several_runs_into_one_folder_unless_they_would_share_it(
    tmp_path: Path, capsys: Capture
) -> None:
    for name in ("x/a", "x/b", "y/b"):
        make_run(tmp_path / name)
    out = ["--out", str(tmp_path / "out")]
    assert main([str(tmp_path / "x/a"), str(tmp_path / "x/b"), *out]) == 0
    assert sorted(p.parent.name for p in tmp_path.glob("out/*/tables.md")) == ["a", "b"]
    assert not (tmp_path / "x" / "a" / "tables").exists()
    targets = [str(tmp_path / "x/b"), str(tmp_path / "y/b")]
    assert main([*targets, *out]) == 2
    assert "two targets" in capsys.readouterr().err
    assert main([*targets, "--no-write"]) == 0


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


def test_a_run_is_found_by_folder_name_identity_and_mlflow_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, key in (("u-abc", "abc"), ("b-def", "def")):
        mlflow = {"run_id": f"run-{key}", "uri": "sqlite:///x"}
        make_run(tmp_path / "runs" / name, identity=key, mlflow=mlflow)
    for target in ("u-abc", "abc", "run-abc", "runs/u-abc", "runs/u-abc/scores.csv"):
        assert resolve(target) == Path("runs/u-abc/scores.csv")
    with pytest.raises(AsdError, match="nothing: no such run folder"):
        resolve("nothing")
    with pytest.raises(AsdError, match=r"no scores\.csv in this folder"):
        resolve("runs")
