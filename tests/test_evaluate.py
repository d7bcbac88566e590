from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from asd.errors import AsdError
from asd.evaluate import main, resolve
from asd.scoring.clip_scores import write_scores

ROOT = Path(__file__).parents[1]


def make_run(folder: Path, run: dict[str, object] | None = None) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "machine": "fan",
            "id": ["00"] * 20 + ["02"] * 4,
            "file": [f"fan/{i}.wav" for i in range(24)],
            "label": [0] * 10 + [1] * 10 + [0] * 4,
            "score": [float(i * 7 % 23) for i in range(24)],
        }
    )
    write_scores(folder / "scores.csv", frame)
    if run is not None:
        (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    return frame


def test_a_run_folder_prints_and_writes_its_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = make_run(tmp_path, {"title": "U, seed 3", "data_label": "SIMULATED", "max_fpr": 0.2})
    assert main([str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "U, seed 3" in out
    assert "Data: SIMULATED" in out
    assert "fan id_02: no anomaly clip" in out
    assert "[0, 0.2]" in out
    table = pd.read_csv(tmp_path / "tables" / "per_id.csv")
    known = frame[frame["id"] == "00"]
    for name, p in (("auc", None), ("pauc", 0.2)):
        expected = 100 * roc_auc_score(known["label"], known["score"], max_fpr=p)
        assert table[f"{name}_percent"][0] == pytest.approx(expected, abs=1e-6)
    assert str(tmp_path / "tables" / "tables.md") in out


def test_the_option_beats_the_run_s_max_fpr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path, {"max_fpr": 0.2})
    assert main([str(tmp_path), "--max-fpr", "0.5", "--no-write"]) == 0
    assert "[0, 0.5]" in capsys.readouterr().out
    assert not (tmp_path / "tables").exists()


def test_a_scores_file_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path, {"title": "not this file's"})
    (tmp_path / "scores.csv").rename(tmp_path / "other.csv")
    assert main([str(tmp_path / "other.csv")]) == 0
    out = capsys.readouterr().out
    assert "other.csv" in out
    assert "not this file's" not in out
    assert "data not stated" in out
    assert "[0, 0.1]" in out
    assert (tmp_path / "tables_other" / "tables.md").is_file()


def test_several_runs_into_one_folder(tmp_path: Path) -> None:
    make_run(tmp_path / "a")
    make_run(tmp_path / "b")
    targets = [str(tmp_path / "a"), str(tmp_path / "b")]
    assert main([*targets, "--out", str(tmp_path / "out")]) == 0
    assert sorted(p.parent.name for p in tmp_path.glob("out/*/tables.md")) == ["a", "b"]
    assert not (tmp_path / "a" / "tables").exists()


def test_nothing_is_written_if_one_target_is_bad(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path / "a")
    (tmp_path / "b.csv").write_text("machine,id\n")
    assert main([str(tmp_path / "a"), str(tmp_path / "b.csv")]) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.startswith(f"error: {tmp_path / 'b.csv'}: line 1: columns missing")
    assert not (tmp_path / "a" / "tables").exists()


def test_two_targets_may_not_share_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path / "x" / "run")
    make_run(tmp_path / "y" / "run")
    targets = [str(tmp_path / "x" / "run"), str(tmp_path / "y" / "run")]
    assert main([*targets, "--out", str(tmp_path / "out")]) == 2
    assert "two targets" in capsys.readouterr().err
    assert main([*targets, "--no-write"]) == 0


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("{", "run.json: damaged"),
        ('{"title": 3}', "'title' must be a text"),
        ('{"max_fpr": "0.1"}', "'max_fpr' must be a number"),
        ('{"max_fpr": 2}', "scoring.max_fpr=2"),
    ],
)
def test_a_bad_run_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], run: str, message: str
) -> None:
    make_run(tmp_path)
    (tmp_path / "run.json").write_text(run)
    assert main([str(tmp_path)]) == 2
    assert message in capsys.readouterr().err


def test_resolve(tmp_path: Path) -> None:
    with pytest.raises(AsdError, match=r"no scores\.csv in this folder"):
        resolve(str(tmp_path))
    with pytest.raises(AsdError, match="no such run folder or scores file"):
        resolve(str(tmp_path / "none"))
    make_run(tmp_path)
    assert resolve(str(tmp_path)) == resolve(str(tmp_path / "scores.csv"))
    assert resolve(str(tmp_path)) == tmp_path / "scores.csv"


def test_as_a_program_without_torch_in_an_ascii_terminal(tmp_path: Path) -> None:
    make_run(tmp_path, {"title": "U — über"})
    code = (
        "import sys; from asd.evaluate import main; status = main(sys.argv[1:]);"
        "heavy = {'torch', 'mlflow', 'sklearn', 'hydra', 'numba', 'librosa'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        cwd=ROOT,
        env={"PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"U ? ?ber" in done.stdout
    assert "U — über" in (tmp_path / "tables" / "tables.md").read_text(encoding="utf-8")


def test_a_reader_that_goes_away_is_no_fault(tmp_path: Path) -> None:
    make_run(tmp_path)
    command = [sys.executable, "-m", "asd.evaluate", *[str(tmp_path)] * 1, "--no-write"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


def test_a_run_is_found_by_name_identity_and_mlflow_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, key in (("u-abc", "abc"), ("b-def", "def")):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "scores.csv").write_text("machine,id,file,label,score\n")
        record = {"identity": key, "mlflow": {"run_id": f"run-{key}", "uri": "sqlite:///x"}}
        (folder / "run.json").write_text(json.dumps(record))
    for target in ("u-abc", "abc", "run-abc", "runs/u-abc"):
        assert resolve(target) == Path("runs/u-abc/scores.csv")
    with pytest.raises(AsdError, match="nothing: no such run folder"):
        resolve("nothing")
