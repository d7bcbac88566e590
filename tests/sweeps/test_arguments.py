from __future__ import annotations

import math
from pathlib import Path

import pytest

from asd.errors import AsdError
from asd.experiment.sweep_files import load_sweep, sweep_files
from asd.reporting.declaration import declaration
from asd.sweeps.arguments import expand


@pytest.mark.parametrize("path", sweep_files(), ids=lambda p: p.stem)
def test_a_sweep_says_what_it_answers_and_has_rows_that_it_runs(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# ")
    assert any(f"+sweep={path.stem}" in line for line in lines if line.startswith("#"))
    sweep = load_sweep(path.stem)
    for options in declaration(path.stem).rows.values():
        for option, value in options.items():
            swept = sweep["overrides"]["+experiment" if option == "experiment" else option]
            assert str(value) in map(str, swept if isinstance(swept, list) else [swept])


def test_a_grids_rows_are_all_that_it_runs() -> None:
    for name in ("paper", "loss_weights", "frontends", "scope"):
        sweep = load_sweep(name)
        values = sweep["overrides"].values()
        cells = math.prod(len(one) if isinstance(one, list) else 1 for one in values)
        assert len(sweep["rows"]) == cells


def test_a_sweep_stands_for_its_overrides_and_the_user_wins() -> None:
    assert expand(["-m", "+sweep=scope", "data=folder"]) == [
        "-m", "data=folder", "+experiment=u,u_per_machine", "sweep.name=scope",
    ]  # fmt: skip
    assert expand(["-m", "sweep=scope", "experiment=u", "tracking.experiment=mine"])[1:] == [
        "experiment=u", "tracking.experiment=mine", "sweep.name=scope",
    ]  # fmt: skip


def test_a_sweep_may_be_like_another() -> None:
    paper, seeds = load_sweep("paper"), load_sweep("paper_seeds")
    assert seeds["published"] == paper["published"]
    assert seeds["overrides"]["+experiment"] == paper["overrides"]["+experiment"]
    assert "seed" not in paper["overrides"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-m", "+sweep=papr"], "no such sweep; there are .*paper"),
        (["+sweep=paper"], "add -m"),
        (["-m", "+sweep=paper", "+sweep=scope"], "one sweep at a time"),
    ],
)
def test_what_is_no_sweep_is_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(AsdError, match=message):
        expand(arguments)


def test_what_only_a_sweep_has_a_use_for_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["seed=1", "hydra/launcher=joblib"]
    assert expand(arguments) == arguments
    said = "hydra/launcher=joblib: ignored, this is one run; add -m for a sweep\n"
    assert capsys.readouterr().err == said
    assert expand(["-m", *arguments]) == ["-m", *arguments]
    assert capsys.readouterr().err == ""
