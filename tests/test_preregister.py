"""A plan frozen before its runs, and what a report says of it after them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from asd.preregister import main as preregister
from asd.report import main as report

SWEEP = ["+experiment=knn,level", "seed=0,1,2"]
CLAIMS = ["claim=knn > level", "claim=level > knn by pauc", "claim=u > level"]


def test_a_plan_is_kept_or_broken(
    run_train: Callable[..., int],
    shared_data: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = tmp_path / "plan.json"
    assert preregister([str(plan), *CLAIMS, *SWEEP, *shared_data]) == 0
    digest = capsys.readouterr().out.split("sha256 ")[1].strip()
    assert not list(tmp_path.glob("runs/*/scores.csv"))
    assert preregister([str(plan), *CLAIMS, *SWEEP, *shared_data]) == 2
    assert "not changed" in capsys.readouterr().err

    assert run_train("-m", *SWEEP) == 0
    planned = json.loads(plan.read_text())["runs"]
    assert sorted(planned) == sorted(path.parent.name for path in Path("runs").glob("*/run.json"))
    assert preregister(["late.json", *CLAIMS, *SWEEP, *shared_data]) == 2
    assert "already run" in capsys.readouterr().err

    capsys.readouterr()
    asked = [f"plan={plan}", "--no-pictures"]
    assert report(asked) == 0
    text = Path("report/report.md").read_text()
    assert digest in text and "NOT AS PLANNED" not in text
    assert "| KEPT" in text  # knn hears more than the level, on tiny data too
    assert "| BROKEN" in text and "no finished run of 'u'" in text

    # What was done otherwise is said: a run that is missing, and one that was there before.
    shutil.rmtree(next(Path("runs").glob("knn-*seed2*")))
    early = next(Path("runs").glob("level-*seed0*")) / "run.json"
    early.write_text(json.dumps({**json.loads(early.read_text()), "ended": 1000}))
    assert report(asked) == 0
    text = Path("report/report.md").read_text()
    assert "no finished run here of: knn" in text and "finished before: level" in text
    assert "| KEPT" not in text


@pytest.mark.parametrize("words", [["claim=knn"], ["claim=knn > u by f1"], ["seed=0"]])
def test_a_claim_that_says_nothing_is_refused(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert preregister([str(tmp_path / "plan.json"), *words, "+experiment=knn"]) == 2
    assert "claim=A > B" in capsys.readouterr().err


def test_a_file_that_is_no_plan_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "plan.json").write_text('{"frozen": 3}')
    (tmp_path / "runs").mkdir()
    assert report([f"plan={tmp_path / 'plan.json'}", f"runs={tmp_path / 'runs'}"]) == 2
    assert "no plan of asd.preregister" in capsys.readouterr().err
