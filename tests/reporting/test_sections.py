"""From run folders to tables: which runs make a row, and what stands beside published numbers."""

from __future__ import annotations

import io
import itertools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from asd.composition import compose_config, option_text, plain
from asd.documents.blocks import Table, Text
from asd.errors import AsdError
from asd.experiment.history import convergence, write_history
from asd.experiment.sweep_files import load_sweep
from asd.experiment.trainer_options import TrainerOptions
from asd.options import from_config
from asd.report import parse as parse_arguments
from asd.reporting.bootstrap import Resampling
from asd.reporting.content import section_blocks, verdict
from asd.reporting.costs import cost_table
from asd.reporting.declaration import declaration, parse
from asd.reporting.factors import share_a_loss, varied
from asd.reporting.results import figure_lines, grid_table, id_table, spreadsheet
from asd.reporting.runs import collect_folder
from asd.reporting.sections import Section, add_comparison, sections


def result(section: Section, system: str, machine: str, metric: str = "auc") -> Any:
    """A row of the tidy table."""
    frame = section.results
    own = (frame["metric"] == metric) & (frame["system"] == system) & (frame["id"] == "")
    (row,) = frame[own & (frame["machine"] == machine)].to_dict("records")
    return SimpleNamespace(**row)


def tables(section: Section) -> list[Table]:
    blocks = section_blocks(section)
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
        assert "SIMULATED" in table.title and "paper " not in text and "95.67" not in text


def test_rows_name_their_family_and_whose_the_published_figures_are(runs: Any) -> None:
    table = declaration("beyond")
    experiments = [row["experiment"] for row in table.rows.values()]
    assert sorted(experiments) == sorted(load_sweep("beyond")["overrides"]["+experiment"])
    assert all(set(of) == {"family", "source"} for of in table.about.values())
    runs.write("u", data="dcase2020")
    (section,) = runs.report("beyond")
    assert section.comparable
    assert result(section, "IDNN", "ToyCar").published == pytest.approx(0.7891)
    shown = tables(section)
    (sources,) = (t for t in shown if t.header == ["system", "published figures"])
    assert len(sources.rows) == len(table.rows)
    idnn = next(row for row in shown[0].rows if row[0][0].text == "IDNN")
    assert [line.text for line in idnn[0]] == ["IDNN", "reconstruction", "no run"]
    assert "of the paper" not in shown[0].title


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
    assert any("claims, checked" in t.title for t in tables(section))
    assert np.isnan(result(section, "U", "ToyCar", "auc_pooled").published)


@pytest.mark.parametrize(
    ("options", "tags"),
    [
        ("scale=small", {}),
        ("scale=small scale.name=paper scale.demo=false", {}),  # by what it holds, not by its name
        ("data.ids=['00']", {}),
        ("data.test=evaluation", {}),
        ("data.verify_counts=false", {}),
        ("data.on_bad_clip=skip", {}),
        ("data.machines=[fan,pump,slider,valve,ToyCar]", {}),
        ("", {"simulated": "true"}),  # a marker was found
        ("", {"data": "folder"}),
    ],
)
def test_other_data_is_not_comparable(runs: Any, options: str, tags: dict[str, str]) -> None:
    runs.write("u", data="dcase2020", options=options, tags=tags)
    (section,) = runs.report()
    assert not section.comparable
    assert section.results["difference"].isna().all()
    assert not any("claims" in t.title for t in tables(section))


def test_a_published_mean_is_of_the_papers_six_types(runs: Any, scores: Any) -> None:
    """B on fan alone: 65.83 is the paper's fan, and never its mean."""
    fan = {"options": "data.machines=[fan]", "data": "dcase2020"}
    runs.write("b", **fan, frame=scores(0, machines=("fan",)))
    (section,) = runs.report()
    assert list(section.systems) == ["B"] and section.data == ["data.machines=[fan]"]
    assert tables(section)[0].header == ["system", "fan", "mean of 1"]
    assert np.isnan(result(section, "B", "mean").published)
    assert result(section, "B", "fan").published == pytest.approx(0.6583)


def test_a_row_takes_exactly_its_presets_settings(runs: Any) -> None:
    """Whatever a run is called; every other setting is a row of its own, named by it."""
    runs.write("u_half")
    runs.write("u", 1, name="half by hand", options="model.filters=[4,8,16] trainer.threads=2")
    runs.write("u", name="dense", options="model=dense_ae")
    for seed in (0, 1, 2):
        runs.write("b", seed, options="trainer.max_epochs=5")
    runs.write("ss_0.5", name="ss", options="loss.alpha=0.7")
    runs.write("u", 5, options="system=Mine experiment_name=mine")
    (section,) = runs.report()
    seeds = {label: system.seeds for label, system in section.systems.items()}
    assert seeds == {
        "U": [5], "SS-0.7-0.3": [0], "U-half": [0, 1], "U, model dense_ae": [0],
        "B, max_epochs 5": [0, 1, 2],
    }  # fmt: skip
    assert not section.rows[0].runs and section.rows[0].label == "B"
    (section,) = runs.report("frontends")
    assert section.systems["U half gammatone"].seeds == [0, 1]


def test_what_is_not_of_the_same_settings_or_clips_says_so(runs: Any) -> None:
    runs.write("u")
    file = runs.write("u", 1, name="older") / "config.yaml"
    config = yaml.safe_load(file.read_text())
    del config["trainer"]["fused_adam"], config["trainer"]["deterministic"]  # one changes nothing
    file.write_text(yaml.safe_dump(config))
    runs.write("u", 2, name="clips", data_hash="abcdefgh", ended=1)
    runs.write("u", 0, name="again", ended=9e12)
    runs.write("u", 3, options="data.train_per_id=9")
    (section,) = runs.report()
    assert list(section.systems) == [
        "U", "U, other training clips (abcdef)", "U, without trainer.deterministic",
        "U, train_per_id 9",
    ]  # fmt: skip
    (note,) = section.rows[1].notes
    assert note == "of runs that differ in nothing the latest; not u-simulated-seed0"


def test_runs_of_a_corpus_that_is_not_known_are_refused_by_name(runs: Any) -> None:
    runs.write("u", command="python -m asd.train +experiment=u data=mine")
    with pytest.raises(AsdError, match="runs of data=mine scale=small: not known here"):
        runs.report()


def laid_out(runs: Any, *by: str, whole: bool = False) -> tuple[list[Section], str]:
    found = collect_folder(runs.path).runs
    parts, said = sections(found, declaration("paper"), by, whole, Resampling(20))
    return parts, " ".join(said)


def test_trials_of_a_search_never_stand_in_the_papers_table(runs: Any) -> None:
    trial = {"tags": {"trial": "3", "study": "s"}}
    runs.write("u", 1, **trial)  # of just the row's settings
    runs.write("u", 3, options="trainer.learning_rate=0.002", **trial)
    (section,), _ = laid_out(runs)
    assert section.declared.title == "Search s" and section.factors == ("trainer.learning_rate",)
    assert list(section.systems) == ["learning_rate 0.001", "learning_rate 0.002"]
    runs.write("u", 0, sweep="a grid's", **trial)  # a search took it as it was
    (section,), said = laid_out(runs)
    assert section.systems["U"].seeds == [0] and len(section.rows) == 1
    assert "2 trials of s have no row here: python -m asd.report study=s" in said


def test_a_sweep_shows_its_rows_and_says_how_to_compare_its_settings(runs: Any) -> None:
    for size, seed in itertools.product((4, 8), (0, 1)):
        runs.write("u", seed, options=f"trainer.batch_size={size}", name=f"{size}-{seed}")
    (section,), said = laid_out(runs)
    assert [row.label for row in section.rows] == ["U", "U, batch_size 8"]
    assert "python -m asd.report by=trainer.batch_size" in said and "no runs of B, U FD" in said
    assert section.find("u trainer.batch_size=4").label == "U"
    (section,), _ = laid_out(runs, whole=True)
    assert section.rows[0].label == "B" and not section.rows[0].runs
    (section,), _ = laid_out(runs, "trainer.batch_size")
    assert [(row.label, row.seeds) for row in section.rows] == [
        ("batch_size 4", [0, 1]), ("batch_size 8", [0, 1]),
    ]  # fmt: skip
    add_comparison([section], "u trainer.batch_size=4", "batch_size 8")
    assert section.comparisons[0].loc[0, "a"] == "batch_size 4"
    runs.write("b", data="dcase2020")
    _, said = laid_out(runs)  # each corpus lacks rows of its own
    assert "dcase2020: The paper's grid has no runs of U, U FD" in said
    assert "SIMULATED, demo scale (small): The paper's grid has no runs of B, U FD" in said


def test_a_setting_is_compared_with_those_that_differ_in_it_alone(runs: Any) -> None:
    for rate, size in ((0.001, 8), (0.001, 16), (0.01, 8), (0.01, 16)):
        typed = f"trainer.learning_rate={rate} trainer.batch_size={size}"
        runs.write("u", options=typed, name=f"{rate} {size}")
    runs.write("b", options="trainer.batch_size=8")
    parts, said = laid_out(runs, "trainer.batch_size")
    assert [part.label.rsplit(", ", 1)[1] for part in parts] == [
        "trainer.learning_rate=0.001", "trainer.learning_rate=0.01",
    ]  # fmt: skip
    assert "1 runs have no partner" in said
    # What follows by an interpolation (beta, the name) is no other difference.
    for name in ("ss_0.3", "ss_0.7"):
        runs.write(name)
    (section,), _ = laid_out(runs, "loss.alpha")
    assert list(section.systems) == ["alpha 0.3", "alpha 0.7"]
    section.costs["validation_loss"] = [0.1, 0.2]  # of two losses: it judges nothing
    assert "validation loss" not in verdict(section)
    with pytest.raises(AsdError, match="by=seed: a setting's spread"):
        laid_out(runs, "seed")
    with pytest.raises(AsdError, match=r"no run has trainer\.batchsize"):
        laid_out(runs, "trainer.batchsize")
    # A null is a setting, too; of another split the loss is of other clips.
    runs.write("u", options="trainer.validation_seed=0", name="split")
    runs.write("u", options="trainer.validation_seed=null", name="no split")
    (section,), _ = laid_out(runs, "trainer.validation_seed")
    assert list(section.systems) == ["validation_seed 0", "validation_seed null"]
    assert not section.shares_loss
    # What is no other setting, or of the whole report, makes no rows.
    runs.write("u", options="trainer.batch_size=64", name="64")
    for option in ("trainer.threads=2", "scoring.max_fpr=0.2"):
        runs.write("u", options=f"trainer.batch_size=64 {option}", name=option)
        with pytest.raises(AsdError, match=r"differ from others only in what cannot change"):
            laid_out(runs, option.split("=")[0])
    assert "scoring.max_fpr" not in varied(collect_folder(runs.path).runs)
    with pytest.raises(AsdError, match="no two of 12 runs differ in it alone; they differ"):
        laid_out(runs, "trainer.weights")


def test_options_that_no_run_has_together_are_said_and_not_suggested(runs: Any) -> None:
    runs.write("ss_0.5")
    runs.write("b")
    with pytest.raises(AsdError, match=r"no run has loss\.alpha and model\.hidden"):
        laid_out(runs, "loss.alpha", "model.hidden")


def test_validation_losses_are_of_the_same_seeds(runs: Any, tmp_path: Path) -> None:
    # As a training records it.
    rows = [{"epoch": n, "steps": n + 1.0, "val/loss": 0.5 - 0.25 * n} for n in range(2)]
    write_history(tmp_path / "history.csv", rows)
    options = from_config(
        TrainerOptions, "trainer", plain(compose_config(["+experiment=u"]).trainer)
    )
    how = convergence(tmp_path / "history.csv", options)
    size = "trainer.batch_size"
    for seed in (0, 1):
        runs.write("u", seed, options=f"{size}=8", name=f"8 {seed}", convergence={"shared": how})
    less = {"shared": {**how, "validation_loss": 0.125}}
    runs.write("u", 0, options=f"{size}=16", name="16 0", convergence=less)
    (section,), _ = laid_out(runs, size)
    assert section.costs["validation_loss"].to_list() == [0.25, 0.125]
    assert "validation loss" not in verdict(section)  # seed 1 has other validation clips
    assert any("or seeds do not compare" in note for note in cost_table(section).notes)
    runs.write("u", 1, options=f"{size}=16", name="16 1", convergence=less)
    (section,), _ = laid_out(runs, size)
    assert verdict(section).startswith("batch_size 16 has the lowest validation loss, 0.125;")
    run = section.runs[-1]
    (run.folder / "models" / "shared").mkdir(parents=True)  # whose history is lost
    assert np.isnan(replace(run).numbers["training_seconds"])
    assert share_a_loss([size], [[0], [0]]) and share_a_loss(["model.embedding"], [[0], [0]])
    for name in ("release", "scope", "trainer.validation_fraction", "loss.alpha", "frontend.bands"):
        assert not share_a_loss([size, name], [[0], [0]])  # of other clips, or another quantity


def test_a_tie_is_no_first_place(runs: Any, scores: Any) -> None:
    for size in (8, 16, 32):
        frame = scores(0, 0.5 if size == 32 else 1.0)
        runs.write("u", options=f"trainer.batch_size={size}", name=str(size), frame=frame)
    (section,), _ = laid_out(runs, "trainer.batch_size")
    assert "batch_size 16 has the highest mean AUC" in verdict(section)
    assert "(1 seed), the same as batch_size 8. That it is better" in verdict(section)
    costs = pd.read_csv(io.StringIO(spreadsheet(section.costs)))
    assert costs["auc_percent"].gt(50).all() and costs["pauc_percent"].gt(50).all()  # one unit


def test_the_verdict_names_the_best_and_what_is_real(runs: Any, scores: Any) -> None:
    for seed in (0, 1, 2):
        runs.write("u", seed, shift=2.5)
        runs.write("b", seed, shift=0.3)
        runs.write("u_fd", seed, shift=2.5)
    (section,) = runs.report()
    text = verdict(section)
    for size in (8, 16):  # whose labels have commas of their own
        runs.write("b", options=f"trainer.batch_size={size}", name=f"b{size}")
    (named,) = runs.report()
    assert "; B, batch_size 8; B, batch_size 16" in verdict(named)
    best = "U" if text.startswith("U has") else "U FD"
    other = {"U": "U FD", "U FD": "U"}[best]
    assert text.startswith(f"{best} has the highest mean AUC")
    said = f"It is better than B by more than chance; against {other} that is not decidable."
    assert said in text
    bold = [
        [line.text for line in cell if line.kind == "best"]
        for row in grid_table(section, "auc").rows
        for cell in row
    ]
    assert sum(map(len, bold)) == 7  # one a column
    front = section.costs.set_index("system")["front"]
    assert front[best] and not front["B"]  # no cost is known: by AUC alone


def test_a_row_says_what_its_trainings_mix_and_which_had_not_converged(runs: Any) -> None:
    states = ("aaaaaaa1", 1, True), ("bbbbbbb1", 2, False), ("bbbbbbb1", 2, False)
    for seed, (commit, threads, converged) in enumerate(states):
        tags = {"mlflow.source.git.commit": commit, "selected_on": "test clips"}
        how = {"shared": {"converged": converged}}
        more = {"tags": tags, "convergence": how, "unseen": ["fan/id_00"] * (seed == 1)}
        more["versions"] = {"clips": 1, "training": int(seed > 0), "scoring": 1}
        runs.write("u", seed, threads={"shared": [threads]}, **more)
    runs.write("b", tags={"mlflow.source.git.commit": None})  # by another's hand
    (section,) = runs.report()
    (table, *_) = tables(section)
    assert [line.text for line in table.rows[1][0]] == ["U *", "n=3"]
    assert table.notes[-1] == (
        "U *: trainings of 2 commits: aaaaaaa; bbbbbbb. "
        "trainings of 2 thread counts: 1; 2. "
        "OLDER CODE, which computes otherwise than today's: u-simulated-seed0. "
        "never trained on fan/id_00. SELECTED ON TEST CLIPS by a search. "
        "2 of 3 trainings not converged (shared): still getting better when they ended."
    )
    assert id_table(section, "auc").notes == table.notes[-1:]


def test_missing_cells_say_so_and_name_the_command(runs: Any) -> None:
    tail = "data=dcase2020 scale=paper 'data.machines=[fan]' data.root=/x tracking=off"
    for experiment, seed in (("u", 0), ("u", 1), ("ss_0.5", 1)):
        options = "data.machines=[fan] data.root=/x tracking=off"
        runs.write(experiment, seed, data="dcase2020", options=options)
    runs.write("u", 3, data="dcase2020", options=f"{options} trainer.batch_size=8 force=true")
    (section,) = runs.report()
    commands = {row.label: row.command for row in section.rows}
    assert commands["U"] == f"python -m asd.train +experiment=u seed=3 {tail}"
    assert commands["SS-0.5-0.5"] == f"python -m asd.train -m +experiment=ss_0.5 seed=0,3 {tail}"
    assert commands["U, batch_size 8"] == ""
    assert grid_table(section, "auc").rows[0][1][0].text == "missing"
    texts = [b for b in section_blocks(section) if isinstance(b, Text)]
    assert any(t.style == "commands" and commands["B"] in t.text for t in texts)


def test_corpora_are_never_mixed(runs: Any) -> None:
    runs.write("u")
    runs.write("ss_0.5", data="dcase2020")
    runs.write("ss_0.3", datasets=[{"context": "testing", "digest": "other"}])
    label = "SIMULATED, demo scale (small), test clips"
    systems = {section.label: list(section.systems) for section in runs.report()}
    simulated = {f"{label} t0": ["U"], f"{label} other": ["SS-0.3-0.7"]}
    assert systems == {"dcase2020": ["SS-0.5-0.5"], **simulated}


def test_unfinished_damaged_and_set_aside_runs_are_not_used(runs: Any) -> None:
    runs.write("u", 0)
    runs.write("u", 1, status="RUNNING")
    file = runs.write("u", 2) / "scores.csv"
    file.write_text(file.read_text().replace(",1,", ",1,nan,", 1))
    (runs.write("u", 3) / "run.json").write_text("{")
    runs.write("u", 4, name="u-simulated-seed0~1")
    (runs.write("u", 5) / "config.yaml").write_text("seed: 5\n")
    cut = runs.write("u", 6, clips_scored=420) / "scores.csv"  # by a copy that broke off
    cut.write_text("".join(cut.read_text().splitlines(keepends=True)[:100]))
    collection = collect_folder(runs.path)
    assert [run.seed for run in collection.runs] == [0]
    notes = " ".join(collection.notes)
    assert "seed1 (RUNNING)" in notes and "seed2" in notes and "damaged" in notes
    assert "not a run's config" in notes and len(collection.notes) == 5
    assert "seed6 (scores.csv has 99 of 420 clips" in notes
    with pytest.raises(AsdError, match="no such folder of runs"):
        collect_folder(runs.path / "nowhere")


def test_tags_and_options_filter(runs: Any) -> None:
    runs.write("u", tags={"device": "cpu"})
    (run,) = collect_folder(runs.path).runs
    assert run.matches({"experiment": ["b", "u"], "device": ["cpu"], "frontend.bands": ["64"]})
    assert not run.matches({"scale": ["paper"]}) and not run.matches({"nothing": ["x"]})
    assert run.matches({"trainer.learning_rate": ["1e-3"], "trainer.fused_adam": ["true"]})
    # Of a list as of a table's title, and what is no value at all.
    filters, pooling = run.options["model.filters"], run.options["model.pooling"]
    for name, value in {"model.filters": filters, "model.pooling": pooling}.items():
        _, wanted = parse_arguments([f"{name}={option_text(value)}"])
        assert run.matches(wanted)
        assert not run.matches({name: wanted[name][1:]})
    for text in ("[a", "{a", "*x", "a: b: c", "${x}", "@"):
        assert not run.matches({"system": [text]})


def test_systems_are_compared_by_any_of_their_names(runs: Any) -> None:
    for experiment in ("u", "u_fd", "u_half"):
        runs.write(experiment)
    runs.write("b", options="trainer.max_epochs=5")
    (section,) = report = runs.report()
    add_comparison(report, "u_fd", "U")
    add_comparison(report, "u_half", "B, max_epochs 5")
    pairs = [tuple(c.loc[0, ["a", "b"]]) for c in section.comparisons]
    assert pairs == [*[("U FD", "U")] * 2, *[("U-half", "B, max_epochs 5")] * 2]
    with pytest.raises(AsdError, match=r"no finished run of 'b'.*u \(U\)"):
        add_comparison(report, "u", "b")
    with pytest.raises(AsdError, match="compare: u and U are both U; name two systems"):
        add_comparison(report, "u", "U")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": [{"label": "U"}]}, "without an option"),
        ({"rows": [{"label": "U", "family": "x", "source": "y"}]}, "without an option"),
        ({"rows": [{"label": "U", "a": 1}, {"label": "U", "a": 2}]}, "stands twice"),
        ({"published": {"auc": {"X": [1, 2]}}}, "published.auc.X: no row"),
        ({"published": {"auc": {"U": [1]}}}, "not 2 numbers"),
        ({"claims": [{"text": "x", "source": "y", "statements": [{"better": "U"}]}]}, "claims"),
    ],
)
def test_a_declaration_that_does_not_fit_is_refused(change: Any, message: str) -> None:
    content = {"rows": [{"label": "U", "experiment": "u"}], "columns": ["fan", "pump"], **change}
    with pytest.raises(AsdError, match=message):
        parse(content, "sweeps/x.yaml")
