from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from asd.composition import build, compose_config, folder_of, plain, register_resolvers
from asd.errors import AsdError
from asd.experiment.schema import check_schema
from asd.experiment.sweep_files import load_sweep
from asd.experiment.trainer_options import TrainerOptions
from asd.options import from_config

CONF = folder_of("conf")
TRIVIAL = {"level", "kNN", "kNN type"}  # rows that are not the paper's
EXPERIMENTS = sorted(p.stem for p in (CONF / "experiment").glob("*.yaml"))


def composed(*overrides: str) -> DictConfig:
    register_resolvers()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", list(overrides))


@pytest.mark.parametrize("experiment", EXPERIMENTS)
@pytest.mark.parametrize("data", ["simulated", "dcase2020", "folder"])
def test_every_experiment_composes_with_every_corpus(experiment: str, data: str) -> None:
    cfg = composed(f"+experiment={experiment}", f"data={data}")
    from_config(TrainerOptions, "trainer", plain(cfg.trainer))
    check_schema(plain(cfg))
    assert cfg.experiment_name == ("ss_0.5" if experiment == "ss" else experiment)
    brought = {"simulated": "small", "dcase2020": "paper", "folder": "auto"}[data]
    assert cfg.scale.name == ("auto" if experiment == "machine" else brought)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_an_experiment_is_a_short_delta_that_says_what_it_reproduces(experiment: str) -> None:
    lines = (CONF / "experiment" / f"{experiment}.yaml").read_text().splitlines()
    assert len(lines) <= 15
    assert lines[0] == "# @package _global_"
    said = " ".join(line.lstrip("# ") for line in lines if line.startswith("#"))
    assert any(
        words in said for words in ("Table 1/2 row", "he paper prints", "ublished", "igures")
    )


def test_published_numbers_stand_in_the_experiment_files() -> None:
    published = load_sweep("paper")["published"]
    rows = {row["experiment"]: row["label"] for row in load_sweep("paper")["rows"]}
    assert set(published["auc"]) == set(published["pauc"]) == {*rows.values()} - TRIVIAL
    for experiment, label in rows.items():
        if label in TRIVIAL:
            continue
        text = (CONF / "experiment" / f"{experiment}.yaml").read_text()
        for metric in ("auc", "pauc"):
            assert " ".join(f"{v:.2f}" for v in published[metric][label]) in text


def test_the_papers_settings() -> None:
    u = plain(composed("+experiment=u", "data=dcase2020"))
    assert u["model"]["filters"] == [32, 64, 128]
    assert u["model"]["embedding"] == 128
    assert (u["trainer"]["batch_size"], u["trainer"]["max_epochs"]) == (32, 500)
    assert u["trainer"]["plateau"] == {"factor": 0.75, "patience": 20, "min_delta": 1e-4}
    assert u["trainer"]["adam_epsilon"] == 1e-7
    assert u["trainer"]["stop_patience"] == 50
    assert u["trainer"]["validation_fraction"] == 0.1
    b = plain(composed("+experiment=b", "data=dcase2020"))
    assert (b["trainer"]["batch_size"], b["trainer"]["max_epochs"]) == (512, 100)
    assert b["trainer"]["plateau"] is None
    assert b["trainer"]["stop_patience"] is None
    assert (b["window"]["frames"], b["frontend"]["bands"]) == (5, 128)
    assert (b["scope"]["name"], b["standardise"]) == ("per_machine", False)


@pytest.mark.parametrize(
    ("alpha", "system"),
    [(0.7, "SS-0.7-0.3"), (0.3, "SS-0.3-0.7"), (1, "SS-1-0.0"), (0.15, "SS-0.15-0.85")],
)
def test_beta_follows_from_alpha(alpha: float, system: str) -> None:
    assert composed("+experiment=ss", f"loss.alpha={alpha}").system == system


@pytest.mark.parametrize(
    "overrides",
    [
        ["data=dcase2020", "data.ids=['00']"], ["data=folder", "data.root=/x"],
        ["trainer.plateau=null"], ["window.seconds=null"], ["scale=paper"],
        ["model=dense_ae", "window=context"], ["frontend=mel"], ["pictures=off", "tracking=off"],
    ],
)  # fmt: skip
def test_what_the_files_allow_is_no_unknown_option(overrides: list[str]) -> None:
    check_schema(plain(composed(*overrides)))


def test_unknown_option_of_a_part_is_named() -> None:
    with pytest.raises(AsdError, match=r"window: .*colour"):
        build({**plain(composed().window), "colour": "red"}, "window")


@pytest.mark.parametrize(
    "place",
    [
        "pkg://evil_package", r"pkg\://evil_package", "'pkg://evil_package'",
        "structured://evil_package", "pkg://evil_package.deeper", "pkg://hydra,pkg://evil_package",
    ],
)  # fmt: skip
def test_no_package_is_imported_for_the_command_of_a_run_folder(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evil_package").mkdir()
    (tmp_path / "evil_package" / "__init__.py").write_text(f"open({str(tmp_path / 'x')!r}, 'w')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(AsdError, match=r"//evil_package(\.deeper)? is not imported"):
        compose_config([f"hydra.searchpath=[{place}]"])
    assert not (tmp_path / "x").exists()
