"""The graph gives what ``asd.score`` gives, for every system and front end, or there is no file."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
import soundfile
from exporting import (
    NUMBERS,
    B,
    export_of,
    frontend,
    preset,
    recipe,
    write_clips,
    write_detector,
)
from parts import CONV, DENSE, SS, scoring_of

from asd import export
from asd.composition import build, folder_of
from asd.deployment import onnx_runner
from asd.deployment.onnx_export import OnnxExport
from asd.deployment.onnx_runner import ClipError, OnnxRunner
from asd.errors import AsdError
from asd.models.detector import save_detector
from asd.scoring.back_ends import fit_banks
from asd.scoring.recordings import RecordingOptions, RecordingScorer

NONE = {"_target_": None}
KNN = {
    "_target_": "asd.scoring.back_ends.NearestNeighbours", "k": 2, "metric": "euclidean",
    "standardise": True, "density": None,
}  # fmt: skip
GAUSSIANS = "asd.scoring.gaussians"


def of_vectors(vectors: str, back_end: dict[str, Any], bank: str, **more: Any) -> dict[str, Any]:
    return {"score": None, "vectors": vectors, "back_end": back_end, "bank": bank, **more}


def pooling(name: str, **options: Any) -> dict[str, Any]:
    return {"_target_": f"asd.scoring.pooling.{name}", **options}


SYSTEMS = {
    "U": recipe(frontend("gammatone"), CONV, "first", 50),
    "U of frames, 90 % quantile, per ID": recipe(
        frontend("gammatone", repeat_last=False, f_min=80.0), CONV, "all", 20,
        scoring={"score": "frame_mse", "per_id": True, "pooling": pooling("Quantile", q=0.9)},
    ),
    "B in decibels, deviation": recipe(
        frontend("mel", power=1.0), DENSE, "every", 5,
        scoring={"score": "mse_db", "pooling": pooling("StandardDeviation")},
    ),
    "SS": recipe(
        frontend("mel", pad_mode="constant"), CONV, "all", 16, loss={**SS, "classes": "id"},
        classes=["fan/00", "fan/02", "pump/00"], scoring={"score": "combined"},
    ),
    "level": recipe(
        frontend("mel"), NONE, "first", 20, scoring={"score": None, "vectors": "level"}
    ),
    "kNN of the bottleneck": recipe(
        frontend("mel", n_fft=640, hop=320), DENSE, "every", 5,
        scoring=of_vectors("embedding", {**KNN, "metric": "cosine"}, "machine"),
    ),
    "local density": recipe(
        frontend("gammatone"), NONE, "first", 20,
        scoring=of_vectors("band_statistics", {**KNN, "metric": "unit", "density": 4}, "id"),
    ),
    "mixture, GWRP": recipe(
        frontend("mel"), NONE, "all", 20,
        scoring=of_vectors(
            "spectrum",
            {"_target_": f"{GAUSSIANS}.GaussianMixtureModel", "components": 2, "tolerance": 1e-3,
             "regularisation": 1e-3, "max_iterations": 1000, "seed": 0}, "id",
            pooling=pooling("GlobalWeightedRanking", r=0.9),
        ),
    ),
    "selective Mahalanobis": recipe(
        frontend("mel"), DENSE, "every", 5,
        scoring=of_vectors(
            "residual",
            {"_target_": f"{GAUSSIANS}.SelectiveMahalanobis", "regularisation": 0.0}, "machine",
            pooling=pooling("Moments"),
        ),
    ),
    "by stationarity": recipe(
        frontend("mel"), DENSE, "every", 5,
        scoring=of_vectors(
            "error_statistics",
            {"_target_": "asd.scoring.back_ends.ByStationarity", "decibels": 2.0}, "machine",
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("system", SYSTEMS)
def test_scores_and_decisions_are_those_of_asd_score(system: str, tmp_path: Path) -> None:
    """Also of clips longer than those that the proof saw, and of a machine without calibration."""
    clips = write_clips(tmp_path)
    model, out = tmp_path / "model.ckpt", tmp_path / "model.onnx"
    write_detector(model, SYSTEMS[system])
    card = export_of(model).write(out, clips[:2], "CC0")
    assert card["proof"]["largest difference"] <= 1e-5
    runner = OnnxRunner(out)
    assert runner.card == card
    long = write_clips(tmp_path / "long", seconds=2.71)
    tables: list[pd.DataFrame] = []
    scorer = RecordingScorer(model, RecordingOptions(0.001))
    scorer.score(long, lambda table, _: tables.append(table))
    for file, row in zip(long, tables[0].itertuples(), strict=True):
        machine = scorer.whose(file)
        said = runner.score(runner.read(file), "/".join(machine))
        assert said["score"] == pytest.approx(row.score, rel=1e-5)
        assert said["p_value"] == row.p_value
        limit = scorer.threshold(*machine)
        assert limit and said["threshold"] == limit.value
        assert said["alarm"] == (row.verdict == "ALARM")


@pytest.mark.parametrize("system", ["U", "SS", "mixture, GWRP"])
def test_zeros_within_a_clip_have_the_front_ends_eps(system: str, tmp_path: Path) -> None:
    """A rewriter of the exporter's took so small a number for nothing: the score was NaN."""
    clips = write_clips(tmp_path)
    wave = soundfile.read(clips[0])[0]
    wave[len(wave) // 2 :] = 0
    gap = clips[0].with_name("normal_id_00_99.wav")
    soundfile.write(gap, wave, 16000)
    write_detector(tmp_path / "model.ckpt", SYSTEMS[system])
    export_of(tmp_path / "model.ckpt").write(tmp_path / "model.onnx", clips[:2], "CC0")
    runner = OnnxRunner(tmp_path / "model.onnx")
    expected = RecordingScorer(tmp_path / "model.ckpt", RecordingOptions(0.001)).score_one(gap)[0]
    found = runner.score(runner.read(gap), "fan/00")["score"]
    # Not the last digits: float32 has 120 dB, and a gammatone's echo below that ends earlier.
    assert found == pytest.approx(expected["score"], rel=0.02)


# Those that differ from u or ss_0.7 in their data, their training or the size of a layer alone.
SAME_GRAPH = {"u_fd", "u_half", "u_half_long", "u_long", "u_per_machine", "ss", "ss_0.3", "ss_0.5"}
PRESETS = {path.stem for path in (folder_of("conf") / "experiment").glob("*.yaml")} - SAME_GRAPH


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_experiment_can_be_exported(name: str, tmp_path: Path) -> None:
    """A file of it, and it scores clips of other lengths as ``asd.score``, or refuses the same."""
    clips = write_clips(tmp_path, seconds=2.3)
    model, out = tmp_path / "model.ckpt", tmp_path / "model.onnx"
    write_detector(model, preset(name))
    export_of(model).write(out, clips, "CC0")
    runner, scorer = OnnxRunner(out), RecordingScorer(model, RecordingOptions(0.001))
    others = [*write_clips(tmp_path / "long", 4.71, 1), *write_clips(tmp_path / "short", 0.47, 1)]
    tables: list[pd.DataFrame] = []
    scorer.score(others, lambda table, _: tables.append(table))
    mean = tables[0]["score"].abs().mean()
    assert tables[0]["score"].count() >= 6
    for file, row in zip(others, tables[0].itertuples(), strict=True):
        machine = "/".join(scorer.whose(file))
        if np.isnan(row.score):
            with pytest.raises(ClipError, match="samples, the model takes"):
                runner.score(runner.read(file), machine)
        else:
            said = runner.score(runner.read(file), machine)
            assert said["score"] == pytest.approx(row.score, abs=2e-5 * mean)
            assert said["alarm"] == (row.verdict == "ALARM")


def test_a_graph_that_differs_leaves_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips, out = write_clips(tmp_path), tmp_path / "model.onnx"
    write_detector(tmp_path / "model.ckpt", SYSTEMS["level"])
    strict = export_of(tmp_path / "model.ckpt", tolerance=0.0)
    with pytest.raises(AsdError, match="of the mean score apart; at most 0 "):
        strict.write(out, clips, "")
    assert not out.exists()
    assert export.main([str(tmp_path), str(out), str(clips[0]), "--class", "valve/00"]) == 2
    assert "must be one of fan" in capsys.readouterr().err
    assert export.main([str(tmp_path), "/proc/no.onnx", str(clips[0])]) == 2
    assert "/proc/no.onnx: cannot be written" in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fan", "model.ckpt", "pump"]


def test_clips_that_trained_may_be_the_proof(tmp_path: Path) -> None:
    """To a nearest neighbour they have scores of 0, but for rounding."""
    clip, path = write_clips(tmp_path)[0], tmp_path / "model.ckpt"
    write_detector(path, SYSTEMS["level"])
    level = RecordingScorer(path, RecordingOptions(0.001)).score_one(clip)[0]["score"]
    back_end = {**KNN, "k": 1, "standardise": False}
    scoring = of_vectors("level", back_end, "machine")
    detector = write_detector(path, {**SYSTEMS["level"], "scoring": scoring_of(**scoring)})
    names = np.array(["fan", "fan", "pump"], object)
    vectors = np.array([[level], [level + 3], [level]])
    detector.banks = fit_banks(build(back_end, ""), vectors, names)
    save_detector(detector, path)
    assert export_of(path).write(tmp_path / "model.onnx", [clip], "")["proof"]["clips"] == 1


def test_what_has_no_graph_is_refused(tmp_path: Path) -> None:
    path, clips = tmp_path / "model.ckpt", write_clips(tmp_path)
    files = {"_target_": "asd.scoring.vector_files.VectorFiles", "folder": str(tmp_path)}
    for changed, message in (
        ({"frontend": {"_target_": "exporting.Unheard"}}, "frontend: no ONNX graph is known"),
        (
            {"scoring": scoring_of(score=None, vectors=files)},
            "scoring.vectors: files of yours are no part",
        ),
        ({"scoring": scoring_of(score=None, vectors="os.path.join")}, "model.ckpt: no ONNX graph"),
    ):
        write_detector(path, {**SYSTEMS["level"], **changed})
        scorer = RecordingScorer(
            path, RecordingOptions(0.001), ["os.path.join", "exporting.Unheard"]
        )
        with pytest.raises(AsdError, match=message):
            OnnxExport(scorer, NUMBERS).write(tmp_path / "no.onnx", clips, "")


def test_8_bits_say_what_they_cost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The front end keeps its precision; a loss above the most that may be refuses the file."""
    clips = write_clips(tmp_path)
    path, out = tmp_path / "model.ckpt", tmp_path / "model.onnx"
    write_detector(path, {**B, "model": {**DENSE, "hidden": 64}})
    card = export_of(path).write(out, clips[:2], "", clips)
    assert card["int8"]["AUC before"] - card["int8"]["AUC"] <= 0.02
    model = onnx.load(out)
    small = {i.name for i in model.graph.initializer if i.data_type == onnx.TensorProto.INT8}
    wide = [i for i in model.graph.initializer if i.data_type == onnx.TensorProto.FLOAT]
    assert len(small) >= 6 and max(np.prod(i.dims) for i in wide) == 513 * 8  # the mel weights
    assert onnx_runner.json.loads(model.metadata_props[0].value)["int8"] == card["int8"]
    with pytest.raises(AsdError, match=r"the AUC on 12 labelled clips falls from"):
        export_of(path, most_auc_loss=-1.0).write(tmp_path / "no.onnx", clips[:2], "", clips)
    assert not (tmp_path / "no.onnx").exists()
    write_detector(path, SYSTEMS["level"])
    with pytest.raises(AsdError, match="no network whose weights"):
        export_of(path).write(tmp_path / "no.onnx", clips[:2], "", clips)


def test_numbers_of_the_command_are_in_conf() -> None:
    from omegaconf import OmegaConf

    assert dict(OmegaConf.load(folder_of("conf") / "export.yaml")) == NUMBERS


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with model.onnx of B, which 4 calibration clips leave without a threshold."""
    folder = tmp_path_factory.mktemp("exported")
    clips = write_clips(folder)
    write_detector(folder / "model.ckpt", B, clips=4)
    export_of(folder / "model.ckpt").write(folder / "model.onnx", clips[:2], "CC0")
    return folder


def test_the_runner_refuses_what_it_cannot_score(exported: Path, tmp_path: Path) -> None:
    runner = OnnxRunner(exported / "model.onnx")
    noise = np.random.default_rng(0).standard_normal((16000, 2)) / 10
    for name, wave, rate, message in (
        ("rate", noise[:, 0], 48000, "48000 Hz, the model takes 16000 Hz"),
        ("channels", noise, 16000, "2 channels"),
        ("short", noise[:2000, 0], 16000, "the model takes 2048 to"),
        ("silence", 0 * noise[:, 0], 16000, "silent"),
        ("clipped", np.sign(noise[:, 0]), 16000, "clipped"),
        ("nan", np.nan * noise[:, 0], 16000, "not finite"),
        ("infinite", np.where(noise[:, 0] > 0.3, np.inf, noise[:, 0]), 16000, "not finite"),
    ):
        soundfile.write(tmp_path / f"{name}.wav", wave, rate, subtype="FLOAT")
        with pytest.raises(ClipError, match=message):
            runner.score(runner.read(tmp_path / f"{name}.wav"), "fan/00")
    soundfile.write(tmp_path / "whole.wav", noise[:, 0], 16000)
    whole = (tmp_path / "whole.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[:20000])
    os.mkfifo(tmp_path / "pipe.wav")
    soundfile.write(tmp_path / "lossy.ogg", noise[:, 0], 16000)
    for name, message in (("cut.wav", "cut short"), ("pipe.wav", "no such"), ("lossy.ogg", "OGG")):
        with pytest.raises(ClipError, match=message):
            runner.read(tmp_path / name)
    endless = whole[:40] + b"\xff" * 4 + whole[44:]  # the length that a stream gives
    assert np.array_equal(runner.read(io.BytesIO(endless)), runner.read(tmp_path / "whole.wav"))
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(ClipError, match="no readable sound file"):
        runner.read(tmp_path / "text.wav")
    with pytest.raises(ClipError, match="must be one of fan/00, fan/02, pump/00"):
        runner.score(noise[:, 0].astype(np.float32))
    said = runner.score(noise[:, 0].astype(np.float32), "fan/00")
    assert said["alarm"] is None and "there is no threshold" in said["why"]
    with pytest.raises(ValueError, match="no model that asd export wrote"):
        OnnxRunner(tmp_path / "text.wav")


def test_the_runner_needs_three_packages(exported: Path, tmp_path: Path) -> None:
    """In an environment that has nothing else, it says what it says here."""
    file = Path(onnx_runner.__file__)
    assert len(file.read_text().splitlines()) <= 150
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv/bin/python"
    constraints = Path(__file__).parents[2] / "constraints.txt"
    install = subprocess.run(
        [python, "-m", "pip", "install", "-q", "-c", constraints, "onnxruntime", "numpy",
         "soundfile"], capture_output=True, text=True,
    )  # fmt: skip
    if install.returncode:
        pytest.skip(f"packages cannot be installed here: {install.stderr[-200:]}")
    alone = tmp_path / "alone.py"
    alone.write_text(file.read_text())
    clip = next(exported.rglob("normal*.wav"))
    command = [python, "-I", alone, exported / "model.onnx", clip, tmp_path / "nowhere.wav"]
    done = subprocess.run([*command, "--machine", "fan/00"], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    scored, refused = map(json.loads, done.stdout.splitlines())
    runner = OnnxRunner(exported / "model.onnx")
    assert scored == {"file": str(clip), **runner.score(runner.read(clip), "fan/00")}
    assert "no such file" in refused["error"]
    missing = subprocess.run([python, "-c", "import torch"], capture_output=True)
    assert missing.returncode == 1
