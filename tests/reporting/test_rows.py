"""Rows of the paper's table from runs as a user trains them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from asd.data.corpus import corpus_of
from asd.report import main
from asd.reporting.declaration import declaration

TINY = ["tracking=off", "data.machines=[fan,pump]"]


def test_the_papers_rows_take_no_other_systems_runs(
    run_train: Callable[..., int],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def table(data: str) -> pd.DataFrame:
        """The report's mean AUC: a row a system."""
        assert main([f"data={data}", "sweep=paper", "--no-pictures", "resamples=20"]) == 0
        frame = pd.read_csv(tmp_path / "report" / "tables.csv")
        assert frame["simulated"].all() and frame["difference_points"].isna().all()
        return frame.query("machine == 'mean' and metric == 'auc'").set_index("system")

    for options in (
        ["+experiment=u", "model=dense_ae"],
        ["+experiment=b", "trainer.max_epochs=5"],
        ["-m", "+experiment=u", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=1",
         "trainer.learning_rate=interval(1e-4,1e-2)"],
    ):  # fmt: skip
        assert run_train(*options, *TINY) == 0
    # One epoch on simulated clips, opened as the paper's.
    (file, *_) = (tmp_path / "runs").glob("u-*/config.yaml")
    corpus = corpus_of(yaml.safe_load(file.read_text())["data"])
    real = ["data=dcase2020", f"data.root={corpus.folder}", "data.verify_counts=false"]
    assert run_train("+experiment=u", "trainer.max_epochs=1", *real, *TINY) == 0
    capfd.readouterr()
    missing = dict.fromkeys(declaration("paper").rows, 0)
    rows = table("simulated")
    others = {"U, model dense_ae": 1, "B, max_epochs 5": 1}
    assert rows["n"].to_dict() == missing | others
    out = capfd.readouterr().out
    assert "2 runs used of 4, SIMULATED data" in out and "1 trials of search" in out
    assert table("dcase2020")["n"].to_dict() == missing | {"U, max_epochs 1": 1}

    # What is printed for a missing cell fills it.
    command = rows["fill_command"]["B"]
    assert command in out
    assert run_train(*shlex.split(re.sub(r".*asd\.train ", "", command))) == 0
    assert table("simulated")["n"].to_dict() == missing | others | {"B": 1}
