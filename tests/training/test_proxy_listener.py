"""The test without labels, through the program: its files, its objective, its place in a report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from asd.experiment.history import read_history
from asd.experiment.run_folder import RunFolder
from asd.scoring.clip_scores import read_scores
from asd.scoring.metrics import evaluate_scores

FAULTS = ["proxy.faults=[leak,knocks]", "trainer.validation_fraction=0.3"]


def runs(folder: Path) -> list[RunFolder]:
    return [RunFolder(path.parent) for path in sorted((folder / "runs").glob("*/run.json"))]


def test_proxy_scores_of_a_run(
    run_train: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_train("+experiment=u", FAULTS[1]) == 0
    (run,) = runs(tmp_path)
    scores, trained = run.scores.read_bytes(), (run.model("shared") / "model.ckpt").read_bytes()
    # The same run, tested when it is asked for: nothing of it is computed again.
    assert run_train("+experiment=u", *FAULTS) == 0
    assert (run.scores.read_bytes(), trained) == (
        scores,
        (run.model("shared") / "model.ckpt").read_bytes(),
    )
    (again,) = runs(tmp_path)
    table = read_scores(again.path / "proxy.csv")
    held_out = (run.model("shared") / "validation.csv").read_text().splitlines()[1:]
    assert (table["label"] == 0).sum() == len(held_out)
    assert (table["label"] == 1).sum() == 2 * len(held_out)
    assert set(table["cause"].dropna()) == {"leak", "knocks"}
    proxy = again.record()["proxy"]
    assert proxy["auc"] == evaluate_scores(table, 0.1).mean["auc"]
    assert again.record()["tags"]["proxy_auc"] == f"{100 * proxy['auc']:.2f}"
    # Loud faults are easier than faint ones, or the test says nothing.
    assert run_train("+experiment=u", *FAULTS, "proxy.level_db=[20,30]") == 0
    assert runs(tmp_path)[0].record()["proxy"]["auc"] > max(0.9, proxy["auc"])
    assert "it ranks, no more" in capsys.readouterr().out

    from asd.report import main as report

    assert run_train("+experiment=knn", *FAULTS, "proxy.level_db=[20,30]") == 0
    (tmp_path / "report").mkdir()
    assert report([f"runs={tmp_path / 'runs'}", f"out={tmp_path / 'report'}"]) == 0
    text = " ".join((tmp_path / "report" / "report.md").read_text().split())
    assert "proxy AUC" in text and "no estimate of the AUC" in text


def test_a_search_by_proxy_auc_chooses_without_test_clips(
    run_train: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search = ["-m", "hydra/sweeper=optuna", "+experiment=knn", "hydra.sweeper.n_trials=2"]
    search += ["scoring.back_end.k=choice(1,2)", "search.objectives=[proxy_auc]"]
    assert run_train(*search) == 2
    assert "proxy.faults" in "".join(capsys.readouterr())
    assert run_train(*search, *FAULTS) == 0
    assert "proxy_auc on validation clips" in capsys.readouterr().err
    told = [json.loads((run.path / "run.json").read_text()) for run in runs(tmp_path)]
    assert [one["tags"]["selected_on"] for one in told] == ["validation clips"] * 2
    # Other faults are another judge, whose values do not mix: another study.
    assert run_train(*search, *FAULTS, "proxy.faults=[timing]") == 0
    assert len(list((tmp_path / "runs/search").iterdir())) == 2


def test_the_proxy_auc_chooses_the_epoch(
    run_train: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["trainer.batch_size=4", "trainer.learning_rate=0.02", "trainer.stop_patience=3"]
    asked = ["+experiment=u", *FAULTS, *small, "proxy.chooses_epoch=true", "proxy.copies=4"]
    assert run_train(*asked, "trainer.max_epochs=6") == 0
    (run,) = runs(tmp_path)
    rows = read_history(run.model("shared") / "history.csv")
    aucs = [row["val/proxy_auc"] for row in rows]
    told = run.record()["convergence"]["shared"]
    # What scores is the epoch's own weights: tested again at the end, they have its AUC.
    assert run.record()["proxy"]["auc"] == pytest.approx(max(aucs), abs=1e-6)
    assert aucs[told["best_epoch"] - 1] == max(aucs) and told["chosen_by"] == "proxy AUC"
    assert len(set(aucs)) > 1
    by_loss = min(rows, key=lambda row: row["val/loss"])
    assert rows[told["best_epoch"] - 1] != by_loss, "the case tells nothing"
    said = capsys.readouterr().out
    assert "by proxy AUC), ended by" in " ".join(said.split())
    assert "on these clips it chose the epoch, too" in said
    # Training itself is what it is without: only the choice differs, which makes it another run.
    without = [word for word in asked if "chooses" not in word]
    assert run_train(*without, "trainer.max_epochs=6") == 0
    other = next(one for one in runs(tmp_path) if one.path != run.path)
    of_other = read_history(other.model("shared") / "history.csv")
    losses = [row["val/loss"] for row in rows]
    assert losses == [row["val/loss"] for row in of_other][: len(rows)]
    assert other.record()["training"] != run.record()["training"]
    # The judge depends on the scoring: another one is another choice, and trains.
    assert run_train(*asked, "trainer.max_epochs=1", "scoring=mse_median") == 0
    assert run_train(*asked, "trainer.max_epochs=1") == 0
    assert not any(one.record()["trained_by"] for one in runs(tmp_path))
    for words in (["trainer.weights=last"], ["+experiment=knn"], ["proxy.faults=[]"]):
        assert run_train(*(asked if words[0][0] != "+" else asked[1:]), *words) == 2
        assert "proxy.chooses_epoch=true: n" in "".join(capsys.readouterr())


def test_pooling_is_chosen_by_a_search_that_trains_once(
    run_train: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search = ["-m", "hydra/sweeper=optuna", "+experiment=u", "hydra.sweeper.n_trials=5", *FAULTS]
    search += ["scoring=choice(mse,mse_median,knn_embedding)", "search.objectives=[proxy_auc]"]
    assert run_train(*search) == 0
    found = runs(tmp_path)
    assert len({one.record()["training"] for one in found}) == 1 and len(found) > 1
    assert sum(not one.record()["trained_by"] for one in found) == 1
    best = max(one.record()["proxy"]["auc"] for one in found)
    said = " ".join("".join(capsys.readouterr()).split())
    assert f"proxy_auc {best:.4g}: scoring=" in said.split("best: trial")[1][:60]
    assert {one.record()["tags"]["selected_on"] for one in found} == {"validation clips"}


def test_what_the_proxy_cannot_test_is_refused(
    run_train: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*words: str) -> str:
        assert run_train("+experiment=knn", FAULTS[1], *words) == 2
        return "".join(capsys.readouterr())

    # Each copy would have the vector of its clip, and the AUC would be 0.5.
    files = ["scoring=files", f"scoring.vectors.folder={tmp_path}"]
    assert "scoring=files has no vectors of the copies" in said(*files, *FAULTS)
    assert run_train("+experiment=knn", FAULTS[1]) == 0
    (run,) = runs(tmp_path)
    (run.model("shared") / "validation.csv").rename(tmp_path / "away")
    assert "lacks models/*/validation.csv" in said(*FAULTS)
    (run.path / "models").rename(tmp_path / "models")  # as of a run copied out of MLflow
    assert "lacks models/*/validation.csv" in said(*FAULTS)
    assert "proxy" not in run.record() and not (run.path / "proxy.csv").exists()


def test_names_that_read_like_nothing_are_names(
    run_train: Callable[..., int], write_corpus: Callable[..., Path], tmp_path: Path
) -> None:
    root = write_corpus(machines=("NA",), train=4)
    told = ["+experiment=knn", "data=folder", f"data.root={root}", "window.frames=2"]
    assert run_train(*told, *FAULTS) == 0
    assert set(read_scores(runs(tmp_path)[0].path / "proxy.csv")["machine"]) == {"NA"}


def test_a_waveform_has_no_level_in_dB(
    run_train: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    for scoring in ("level", "knn", "gmm"):
        assert run_train("+experiment=adacos", f"scoring={scoring}") == 2
        assert "needs a front end in dB, not waveform" in "".join(capsys.readouterr())
