"""From run folders to tables: which runs make a row, and what stands beside published numbers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from asd.documents.blocks import Table, Text
from asd.errors import AsdError
from asd.reporting.bootstrap import Resampling
from asd.reporting.content import figure_lines, grid_table, section_blocks
from asd.reporting.declaration import alpha_of, declaration, parse
from asd.reporting.runs import collect_folder
from asd.reporting.sections import Section, add_comparison, corpora


def result(section: Section, system: str, machine: str, metric: str = "auc") -> Any:
    """A row of the tidy table."""
    frame = section.results
    own = (frame["metric"] == metric) & (frame["system"] == system) & (frame["id"] == "")
    (row,) = frame[own & (frame["machine"] == machine)].to_dict("records")
    return SimpleNamespace(**row)


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
    *ours, published = sorted(
        tables(section), key=lambda t: t.title.startswith("Published Table 1")
    )
    assert "95.67" in [line.text for line in published.rows[1][1]]
    assert "REAL recordings" in published.title
    for table in (table for table in ours if not table.title.startswith("Published")):
        text = " ".join(line.text for row in table.rows for cell in row for line in cell)
        assert "SIMULATED" in table.title and "paper " not in text and "95.67" not in text


def test_the_papers_clips_stand_beside_its_numbers_with_the_difference(runs: Any) -> None:
    runs.write("u", data="dcase2020")
    (section,) = runs.report()
    assert section.comparable
    cell = result(section, "U", "ToyCar")
    assert cell.published == pytest.approx(0.9567)
    assert cell.difference == pytest.approx(cell.mean - 0.9567)
    lines = [line.text for line in figure_lines(vars(cell), section.comparable)]
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
    commands = dict(section.results[["system", "fill_command"]].to_numpy())
    assert pd.isna(commands["U"])
    assert commands["SS-0.5-0.5"] == f"python -m asd.train +experiment=ss_0.5 seed=0 {tail}"
    assert commands["B"] == f"python -m asd.train -m +experiment=b seed=0,1 {tail}"
    assert grid_table(section, "auc").rows[0][1][0].text == "missing"
    texts = [b for b in section_blocks(section, ["auc"]) if isinstance(b, Text)]
    assert any(t.style == "commands" and commands["B"] in t.text for t in texts)


def test_no_runs_at_all_gives_the_empty_table_with_every_command() -> None:
    ((label, runs),) = corpora([], "dcase2020").items()
    section = Section(label, runs, declaration("paper"), Resampling(5), data="dcase2020")
    assert section.results["system"].nunique() == 9 and not section.results["n"].any()
    command = "python -m asd.train +experiment=knn_type seed=0 data=dcase2020"
    assert section.results["fill_command"].iloc[-1] == command
    bare = Section(label, runs, declaration("search"), Resampling(5))
    assert bare.results.empty and not tables(bare)[0].rows


def test_corpora_are_never_mixed(runs: Any) -> None:
    runs.write("u")
    runs.write("ss_0.5", data="dcase2020")
    runs.write("ss_0.3", datasets=[{"context": "testing", "digest": "other"}])
    label = "SIMULATED, demo scale (small), test clips"
    systems = {section.label: list(section.systems) for section in runs.report()}
    simulated = {f"{label} t0": ["U"], f"{label} other": ["SS-0.3-0.7"]}
    assert systems == {"dcase2020": ["SS-0.5-0.5"], **simulated}


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


@pytest.mark.parametrize(("sweep", "rows"), [("search", 3), ("paper", 10)])
def test_experiments_that_are_no_row_get_one(runs: Any, sweep: str, rows: int) -> None:
    for experiment, system in (("u", "U"), ("b", "B"), ("mine", "U")):
        runs.write(experiment, tags={"system": system})
    (section,) = runs.report(sweep)
    assert sorted(section.systems) == ["B", "U", "U (mine)"]
    assert len(grid_table(section, "auc").rows) == rows


def test_tags_and_options_filter(runs: Any) -> None:
    runs.write("u", tags={"device": "cpu"})
    (run,) = collect_folder(runs.path).runs
    assert run.matches({"experiment": ["b", "u"], "device": ["cpu"], "frontend.bands": ["64"]})
    assert not run.matches({"scale": ["paper"]}) and not run.matches({"nothing": ["x"]})


def test_systems_are_compared_by_any_of_their_names(runs: Any) -> None:
    for experiment in ("u", "u_fd", "mine"):
        runs.write(experiment)
    (section,) = report = runs.report()
    add_comparison(report, "u_fd", "U")
    add_comparison(report, "mine", "u")
    pairs = [tuple(c.loc[0, ["a", "b", "metric"]]) for c in section.comparisons]
    assert pairs == [(s, "U", metric) for s in ("U FD", "Mine") for metric in ("auc", "pauc")]
    with pytest.raises(AsdError, match=r"no finished run of 'b'.*u \(U\)"):
        add_comparison(report, "u", "b")


def test_alpha_of_the_papers_names() -> None:
    alphas = {"U": 1.0, "SS-0.7-0.3": 0.7, "SS-0.3-0.7": 0.3, "B": None, "U FD": None}
    assert {name: alpha_of(name) for name in alphas} == alphas


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": [{"label": "U"}]}, "at least one tag"),
        ({"rows": [{"label": "U", "a": 1}, {"label": "U", "a": 2}]}, "twice"),
        ({"published": {"auc": {"X": [1, 2]}}}, "X: needs a row"),
        ({"published": {"auc": {"U": [1]}}}, "each of the 2 columns"),
        ({"claims": [{"text": "x", "source": "y", "statements": [{"better": "U"}]}]}, "claims"),
    ],
)
def test_a_declaration_that_does_not_fit_is_refused(change: Any, message: str) -> None:
    content = {"rows": [{"label": "U", "experiment": "u"}], "columns": ["fan", "pump"], **change}
    with pytest.raises(AsdError, match=message):
        parse(content, "sweeps/x.yaml")
