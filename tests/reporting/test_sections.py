"""From run folders to tables: which runs make a row, and what stands beside published numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from asd.documents.blocks import Commands, Table
from asd.errors import AsdError
from asd.reporting.bootstrap import Resampling
from asd.reporting.content import figure_lines, grid_table, section_blocks
from asd.reporting.declaration import alpha_of, declaration, parse
from asd.reporting.runs import collect_folder
from asd.reporting.sections import Section, add_comparison, sections


def result(section: Section, system: str, machine: str, metric: str = "auc") -> Any:
    """A row of the tidy table."""
    frame = section.results
    own = (frame["metric"] == metric) & (frame["system"] == system) & (frame["id"] == "")
    (row,) = frame[own & (frame["machine"] == machine)].itertuples()
    return row


def tables(section: Section) -> list[Table]:
    blocks = section_blocks(section, ["auc", "pauc"])
    return [b for b in blocks if isinstance(b, Table) and not b.folded]


def test_a_cell_is_the_mean_over_seeds_of_the_mean_over_ids(runs: Any) -> None:
    values = []
    for seed in (0, 1, 2):
        frame = pd.read_csv(runs.write("u", seed) / "scores.csv", dtype={"id": str})
        fan = frame[frame["machine"] == "fan"]
        areas = [roc_auc_score(own["label"], own["score"]) for _, own in fan.groupby("id")]
        values.append(np.mean(areas))
    cell = result(runs.report()[0], "U", "fan")
    assert cell.n == 3
    assert cell.mean == pytest.approx(np.mean(values), abs=1e-12)
    assert cell.std == pytest.approx(np.std(values, ddof=1), abs=1e-12)
    assert cell.low < cell.mean < cell.high


def test_simulated_figures_never_stand_beside_published_ones(runs: Any) -> None:
    runs.write("u")
    (section,) = runs.report()
    assert section.simulated and not section.comparable
    for table in tables(section):
        text = " ".join(line.text for row in table.rows for cell in row for line in cell)
        if not table.title.startswith("Published"):
            assert "SIMULATED DATA" in table.title
            assert "paper " not in text and "95.67" not in text
    published = next(t for t in tables(section) if t.title.startswith("Published Table 1"))
    assert "95.67" in [line.text for line in published.rows[1][1]]
    assert "REAL recordings" in published.title


def test_the_papers_clips_stand_beside_its_numbers_with_the_difference(runs: Any) -> None:
    runs.write("u", data="dcase2020")
    (section,) = runs.report()
    assert section.comparable
    cell = result(section, "U", "ToyCar")
    assert cell.published == pytest.approx(0.9567)
    assert cell.difference == pytest.approx(cell.mean - 0.9567)
    lines = [line.text for line in figure_lines(cell, section.comparable)]
    assert lines[2] == "paper 95.67" and lines[3] == f"{100 * (cell.mean - 0.9567):+.2f}"
    mean = np.mean([95.67, 96.63, 79.87, 81.51, 80.86, 82.85]) / 100
    assert result(section, "U", "mean").published == pytest.approx(mean)
    assert result(section, "B", "ToyCar").published_std == pytest.approx(0.0103)
    assert not any(t.title.startswith("Published") for t in tables(section))
    assert np.isnan(result(section, "U", "ToyCar", "auc_pooled").published)


def test_the_published_mean_is_over_the_types_at_hand(runs: Any, scores: Any) -> None:
    runs.write("u", data="dcase2020", frame=scores(0, machines=("fan", "pump")))
    (section,) = runs.report()
    assert result(section, "U", "mean").published == pytest.approx((0.7987 + 0.8151) / 2)
    assert result(section, "U", "valve").n == 0
    assert result(section, "B", "mean").published == pytest.approx(0.73510, abs=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"demo": True},
        {"data": "folder"},
        {"options": {"data": {"test": "evaluation"}}},
        {"options": {"data": {"ids": ["00"]}}},
    ],
)
def test_other_data_is_not_comparable_though_it_is_real(runs: Any, changes: Any) -> None:
    runs.write("u", **{"data": "dcase2020", "demo": False, **changes})
    (section,) = runs.report()
    assert not section.comparable and not section.simulated
    assert section.results["difference"].isna().all()
    assert any(t.title.startswith("Published") for t in tables(section))


def test_missing_cells_say_so_and_name_the_command(runs: Any) -> None:
    tail = "data=dcase2020 trainer.batch_size=16"
    for experiment, seed in (("u", 0), ("u", 1), ("ss_0.5", 1)):
        command = f"python -m asd.train +experiment={experiment} seed={seed} {tail}"
        runs.write(experiment, seed, data="dcase2020", command=command)
    (section,) = runs.report()
    commands = {row.label: command for row, _, command in section.rows}
    assert commands["U"] is None
    assert commands["SS-0.5-0.5"] == f"python -m asd.train +experiment=ss_0.5 seed=0 {tail}"
    assert commands["B"] == f"python -m asd.train -m +experiment=b seed=0,1 {tail}"
    assert grid_table(section, "auc").rows[0][1][0].text == "missing"
    shown = next(b for b in section_blocks(section, ["auc"]) if isinstance(b, Commands))
    assert commands["B"] in shown.lines


def test_no_runs_at_all_gives_the_empty_table_with_every_command() -> None:
    (section,) = sections([], declaration("paper"), Resampling(5), data="dcase2020")
    assert len(section.rows) == 6 and not section.results["n"].any()
    command = "python -m asd.train +experiment=ss_0.3 seed=0 data=dcase2020"
    assert section.rows[5][2] == command
    (bare,) = sections([], declaration("search"))
    assert bare.results.empty and not tables(bare)[0].rows


def test_corpora_are_never_mixed(runs: Any) -> None:
    runs.write("u")
    runs.write("ss_0.5", data="dcase2020")
    runs.write("ss_0.3", datasets=[{"context": "testing", "digest": "other"}])
    report = runs.report()
    assert [list(s.systems) for s in report] == [["SS-0.5-0.5"], ["U"], ["SS-0.3-0.7"]]
    assert "another corpus has the same label" in " ".join(report[1].notes)


def test_repetitions_share_all_settings_and_the_others_are_named(runs: Any) -> None:
    for seed in (0, 1):
        runs.write("u", seed)
    runs.write("u", 2, name="u-odd", options={"frontend": {"bands": 128}})
    (section,) = runs.report()
    assert section.systems["U"].seeds == [0, 1]
    assert any("u-odd" in note and "not pooled" in note for note in section.notes)


def test_unfinished_damaged_and_set_aside_runs_are_not_used(runs: Any) -> None:
    runs.write("u", 0)
    runs.write("u", 1, status="RUNNING")
    file = runs.write("u", 2) / "scores.csv"
    file.write_text(file.read_text().replace(",1,", ",1,nan,", 1))
    (runs.write("u", 3) / "run.json").write_text("{")
    runs.write("u", 4, name="u-simulated-seed0~1")
    (runs.write("u", 5) / "config.yaml").write_text("seed: 5\n")
    collection = collect_folder(runs.path)
    assert [run.seed for run in collection.runs] == [0]
    notes = " ".join(collection.notes)
    assert "seed1 (RUNNING)" in notes and "seed2" in notes and "damaged" in notes
    assert "not a run's config" in notes and len(collection.notes) == 4
    with pytest.raises(AsdError, match="no such folder of runs"):
        collect_folder(runs.path / "nowhere")


def test_a_sweep_without_rows_has_one_for_each_experiment(runs: Any) -> None:
    for experiment, system in (("u", "U"), ("b", "B"), ("mine", "U")):
        runs.write(experiment, tags={"system": system})
    (section,) = sections(collect_folder(runs.path).runs, declaration("search"), Resampling(5))
    assert sorted(section.systems) == ["B", "U (mine)", "U (u)"]
    assert len(grid_table(section, "auc").rows) == 3


def test_tags_and_options_filter(runs: Any) -> None:
    runs.write("u", tags={"device": "cpu"})
    (run,) = collect_folder(runs.path).runs
    assert run.matches({"experiment": ["b", "u"], "scale": ["small"], "device": ["cpu"]})
    assert run.matches({"frontend.bands": ["64"]})
    assert not run.matches({"release": ["full"]}) and not run.matches({"nothing": ["x"]})


def test_systems_are_compared_by_any_of_their_names(runs: Any) -> None:
    for experiment in ("u", "u_fd", "mine"):
        runs.write(experiment)
    (section,) = report = runs.report()
    add_comparison(report, "u_fd", "U")
    add_comparison(report, "mine", "u")
    pairs = [tuple(c.loc[0, ["a", "b", "metric"]]) for c in section.comparisons]
    assert pairs == [(s, "U", metric) for s in ("U FD", "Mine") for metric in ("auc", "pauc")]
    assert any("Mine (mine, 1)" in note for note in section.notes)
    with pytest.raises(AsdError, match=r"no finished run of 'b'.*u \(U\)"):
        add_comparison(report, "u", "b")


def test_alpha_of_the_papers_names() -> None:
    names = ("U", "SS-0.7-0.3", "SS-0.5-0.5", "SS-0.3-0.7", "B", "U FD")
    assert [alpha_of(name) for name in names] == [1.0, 0.7, 0.5, 0.3, None, None]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": [{"label": "U"}]}, "at least one tag"),
        ({"rows": [{"label": "U", "a": 1}, {"label": "U", "a": 2}]}, "twice"),
        ({"published": {"auc": {"X": [1, 2]}}}, "no row 'X'"),
        ({"published": {"auc": {"U": [1]}}}, "1 numbers for 2 columns"),
        ({"claims": [{"text": "x", "source": "y", "statements": [{"better": "U"}]}]}, "claims"),
    ],
)
def test_a_declaration_that_does_not_fit_is_refused(change: Any, message: str) -> None:
    content = {"rows": [{"label": "U", "experiment": "u"}], "columns": ["fan", "pump"], **change}
    with pytest.raises(AsdError, match=message):
        parse(content, "sweeps/x.yaml")
