"""What a run says of its clips: left out, standing twice, of machine IDs that never trained."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from asd.experiment.run_folder import RunFolder
from asd.score import main as score

Write = Callable[..., Path]
Train = Callable[..., int]


@pytest.fixture
def train(run_train: Train, tmp_path: Path) -> Train:
    """Trains U for an epoch on the folder given, with windows as long as the shortest clip."""

    def run(root: Path, *options: str) -> int:
        data = ("data=folder", f"data.root={root}", f"paths.cache={tmp_path / 'cache'}")
        rest = ("scale=tiny", "tracking=off", "window.seconds=null", "trainer.max_epochs=1")
        return run_train("+experiment=u", *data, *rest, *options)

    return run


def record_of(folder: Path) -> tuple[Path, dict[str, object]]:
    (file,) = folder.glob("runs/*/run.json")
    return file.parent, json.loads(file.read_text())


def test_unseen_ids_and_repeated_recordings_stand_where_the_figures_stand(
    write_corpus: Write, train: Train, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = write_corpus(release="development", machines=["fan"], train=6, seconds=0.5)
    write_corpus(root=root, release="evaluation", machines=["fan"], ids=["00", "05"], train=0,
                 seconds=0.5)  # fmt: skip
    clips = root / "development/fan/train", root / "evaluation/fan/test"
    shutil.copy(clips[0] / "normal_id_00_00000000.wav", clips[1] / "normal_id_00_00000077.wav")
    shutil.copy(clips[1] / "normal_id_05_00000001.wav", clips[1] / "anomaly_id_05_00000077.wav")
    (clips[0] / "odd.txt").touch()
    assert train(root, "data.test=evaluation") == 0
    folder, record = record_of(tmp_path)
    assert record["unseen"] == ["fan/id_05"]
    assert "evaluation test clips" in str(record["title"])
    assert "evaluation test clips" in str(record["data_label"])
    text, said = "\n".join(record["warnings"]), capfd.readouterr().out  # type: ignore[arg-type]
    for part in (
        "no training clip is of these machine IDs, whose test clips are scored: fan/id_05",
        "2 files hold the same recordings both among the training and the test clips",
        "2 files hold the same recordings under several labels or machine IDs",
        "1 files are not used",
        "shared: 1 validation clips choose the epoch that scores",
    ):
        assert part in text and part in said
        assert part in (folder / "tables/tables.md").read_text()
    assert said.index("no training clip is of") < said.index("test clips scored")
    for text in (said, (folder / "tables/tables.md").read_text()):
        assert "id_05 (never trained)" in text and "id_00 (never trained)" not in text


def test_an_id_that_is_no_class_is_refused_before_training(
    write_corpus: Write, train: Train, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = write_corpus(machines=["fan"], train=6, seconds=0.5)
    for file in (root / "fan/train").glob("*_id_02_*"):
        file.rename(str(file).replace("id_02", "id_03"))
    options = "loss=semi_supervised", "loss.classes=id", "scoring=combined"
    assert train(root, *options) == 2
    assert "no training clip is of fan/id_02, which need classes" in capfd.readouterr().out
    assert not (tmp_path / "runs").exists()


def test_a_window_is_as_long_as_the_shortest_training_clip(
    write_corpus: Write, train: Train, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Test clips decide nothing: a longer one does not lengthen it, a shorter one is refused."""
    root = write_corpus(machines=["fan"], train=6, seconds=0.5)
    longer, shorter = sorted((root / "fan/test").glob("*_00_*"))[:2]
    noise = np.random.default_rng(0).standard_normal(16000) / 10
    soundfile.write(longer, noise, 16000)
    soundfile.write(shorter, noise[:6400], 16000)
    assert train(root) == 2
    message = "".join(capfd.readouterr())
    assert "1 clips are shorter than a window of 2" in message
    assert shorter.name in message and "window.seconds" in message
    assert not list(tmp_path.glob("runs/*/models/*/history.csv"))  # nothing was trained in vain
    shorter.unlink()
    shutil.rmtree(tmp_path / "runs")
    assert train(root) == 0


def test_clips_of_another_id_may_be_shorter_than_the_window_of_an_ids_own_model(
    write_corpus: Write, train: Train, tmp_path: Path
) -> None:
    root = write_corpus(machines=["fan"], ids=["00"], train=6, seconds=0.5)
    write_corpus(root=root, machines=["fan"], ids=["02"], train=6, seconds=0.3)
    assert train(root, "scope=per_id") == 0
    folder, _ = record_of(tmp_path)
    for own in ("00", "02"):
        place = f"paths.runs={tmp_path / own}"
        assert train(root, "scope=per_id", f"data.ids=['{own}']", place) == 0
        alone = next((tmp_path / own).glob("*/models/*/scores.csv"))
        assert (folder / f"models/fan_id_{own}/scores.csv").read_bytes() == alone.read_bytes()


def test_a_model_per_id_is_that_of_a_run_of_the_id_alone(
    write_corpus: Write, train: Train, tmp_path: Path
) -> None:
    root = write_corpus(machines=["fan"], train=11, seconds=0.5)

    def run(name: str, *options: str) -> RunFolder:
        place = f"paths.runs={tmp_path / name}"
        given = ("trainer.threads=1", "calibration.fraction=0.2", "trainer.validation_fraction=0.2")
        assert train(root, place, *given, *options) == 0
        return RunFolder(next((tmp_path / name).glob("*/run.json")).parent)

    of_ids = run("of_ids", "scope=per_id")
    scores = pd.read_csv(of_ids.scores, dtype={"id": str})
    assert [m.name for m in of_ids.models()] == ["fan_id_00", "fan_id_02"]
    for own in ("00", "02"):
        alone = run(own, f"data.ids=['{own}']")
        expected = pd.read_csv(alone.scores, dtype={"id": str})
        pd.testing.assert_frame_equal(scores[scores["id"] == own].reset_index(drop=True), expected)
        for file in ("validation.csv", "calibration.csv"):
            theirs = (alone.model("shared") / file).read_text()
            assert (of_ids.model(f"fan_id_{own}") / file).read_text() == theirs
    # Features are stored by type, as for any other scope: those of three runs, and no more.
    assert len(list((tmp_path / "cache/features").rglob("*fan-train*"))) == 3


def test_outliers_are_of_the_same_source_and_the_model_is_the_ids(
    write_corpus: Write, run_train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    root = write_corpus(machines=["fan", "pump", "ToyCar"], train=6, seconds=1.0)
    common = ("+experiment=oe", "data=folder", f"data.root={root}", "release=first", "scale=tiny",
              "tracking=off", "trainer.threads=1")  # fmt: skip

    def scores(name: str, machines: str) -> pd.DataFrame:
        place = f"paths.runs={tmp_path / name}"
        assert run_train(*common, place, f"data.machines={machines}") == 0
        (record,) = (tmp_path / name).glob("*/run.json")
        return pd.read_csv(RunFolder(record.parent).scores, dtype={"id": str})

    both, all_three = scores("both", "[fan,pump]"), scores("all", "[fan,pump,ToyCar]")
    mimii = all_three[all_three["machine"] != "ToyCar"].reset_index(drop=True)
    pd.testing.assert_frame_equal(mimii, both)
    alone = scores("alone", "[fan]")  # other outliers, another network
    assert not np.allclose(alone["score"], both["score"][both["machine"] == "fan"])
    # A new clip, as its own ID's network hears it; another's clip is refused.
    (model,) = (tmp_path / "all").glob("*/models/fan_id_00/model.ckpt")
    of_id = mimii[(mimii["machine"] == "fan") & (mimii["id"] == "00")]
    capsys.readouterr()
    caplog.set_level(logging.WARNING)  # a run logs its progress to standard output
    assert score([str(model), *(str(root / file) for file in of_id["file"])]) == 0
    rows = [line.split(",") for line in capsys.readouterr().out.splitlines()[1:]]
    assert [float(row[1]) for row in rows] == pytest.approx(of_id["score"].tolist(), rel=1e-5)
    assert score([str(model), str(next((root / "fan/test").glob("*id_02*")))]) == 2
    assert "is of a class that the detector was not trained on" in "".join(capsys.readouterr())


def test_clips_shorter_than_a_frame_are_bad_clips(
    write_corpus: Write, train: Train, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = write_corpus(machines=["fan"], train=6, seconds=0.5)
    short = [sorted((root / "fan" / split).glob("*"))[0] for split in ("train", "test")]
    for clip in short:
        soundfile.write(clip, np.ones(200) / 10, 8000)
    reasons = [f"{clip}: clip of 400 samples is too short: one window takes 640" for clip in short]
    assert train(root) == 2
    message = "".join(capfd.readouterr())
    assert "2 bad clips" in message and "data.on_bad_clip=skip" in message
    assert all(reason in message for reason in reasons)
    assert train(root, "data.on_bad_clip=skip") == 0
    folder, record = record_of(tmp_path)
    said = "\n".join(record["warnings"])  # type: ignore[arg-type]
    assert "leaves out 2 bad clips" in said and all(reason in said for reason in reasons)
    scored = (folder / "scores.csv").read_text()
    assert "fan/test/" in scored and short[1].name not in scored
