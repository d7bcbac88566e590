"""``python -m asd.score``: the checks and warnings of training, on recordings of all kinds."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from corpora import folder
from parts import CONV, MSE, scoring_of

from asd.models.detector import Detector, load_detector, save_detector
from asd.models.standardiser import Standardiser
from asd.score import main

BANDS, FRAMES = 8, 4
MEL = {
    "_target_": "asd.frontends.mel.Mel", "rate": 16000, "bands": BANDS, "n_fft": 512, "hop": 256
}  # fmt: skip
Score = Callable[..., tuple[int, pd.DataFrame, str]]


@pytest.fixture
def score(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Score:
    """Scores by a detector of fan ID 00: exit status, table, and all that was said."""
    torch.manual_seed(0)
    recipe = {
        "bands": BANDS, "frames": FRAMES, "classes": [], "channel": None, "model": CONV,
        "loss": MSE, "machines": ["fan"], "ids": [("fan", "00")], "frontend": MEL,
        "window": {"_target_": "asd.data.windows.Windows", "seconds": None, "frames": FRAMES,
                   "cover": "all"},
        "scoring": scoring_of(batch_frames=100), "longest_seconds": 1e9,
    }  # fmt: skip
    save_detector(Detector(recipe, Standardiser.identity(BANDS)), tmp_path / "model.ckpt")

    def run(*paths: Path | str) -> tuple[int, pd.DataFrame, str]:
        caplog.clear()
        status = main([str(tmp_path / "model.ckpt"), *map(str, paths)])
        shown = capsys.readouterr()
        table = pd.read_csv(io.StringIO(shown.out)) if shown.out else pd.DataFrame()
        return status, table, shown.err + caplog.text

    return run


def test_warnings_are_those_of_training(
    score: Score, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of the very same files, word for word but for where they lie."""
    place = tmp_path / "corpus/fan/train"
    place.mkdir(parents=True)
    noise = np.random.default_rng(0).standard_normal(8000) / 10
    kinds = (
        ("PCM_U8", 16000, 1, "WAV"), ("FLOAT", 16000, 3e4, "WAV"), ("PCM_16", 48000, 1, "WAV"),
        ("PCM_16", 16000, 0, "FLAC"),
    )  # fmt: skip
    for n, (subtype, rate, scale, container) in enumerate(kinds):
        file = place / f"normal_id_00_{n}.{container.lower()}"
        soundfile.write(file, noise * scale, rate, subtype=subtype, format=container)
    folder(tmp_path / "corpus").manifest(["development"])
    training = [record.getMessage() for record in caplog.records]
    assert len(training) == 4
    status, table, _ = score(place)
    assert status == 0
    assert table["state"].tolist() == [*["scored"] * 3, "silent"]
    assert np.isfinite(table["score"]).tolist() == [True] * 3 + [False]
    assert [r.levelno for r in caplog.records] == [logging.WARNING] * 4
    ours = [r.getMessage().replace("these recordings", "") for r in caplog.records]
    ours = [text.replace(f"{tmp_path / 'corpus'}/", "") for text in ours]
    assert ours == [text.replace(str(tmp_path / "corpus"), "") for text in training]


def test_what_cannot_be_scored_costs_a_line_not_the_batch(score: Score, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "good.wav", 0.1 * np.sin(np.arange(8000) / 7), 16000)
    soundfile.write(tmp_path / "loud.wav", np.full(8000, 1e20), 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "nan.wav", np.full(8000, np.nan), 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "frame.wav", np.linspace(0, 0.1, 100), 16000)
    soundfile.write(tmp_path / "window.wav", np.linspace(0, 0.1, 600), 16000)
    (tmp_path / "device.wav").symlink_to("/dev/zero")
    bad = {
        "loud.wav": "error: .*has samples of 1e\\+20",
        "nan.wav": "error: .*has samples of nan",
        "frame.wav": "error: .*clip of 100 samples is too short",
        "window.wav": "wrong length: 0.0375 s, shorter than a window of 4 frames",
        "device.wav": "error: .*no regular file",
        "nowhere.wav": "error: .*cannot be read",
    }
    files = [tmp_path / name for name in ("good.wav", *bad)]
    status, table, said = score(*files)
    assert (status, table["state"][0], len(table)) == (2, "scored", 7)
    for name, message, state in zip(bad, bad.values(), table["state"][1:], strict=True):
        assert re.match(message, state)
        assert (name in said) == state.startswith("error")
    assert table["score"].notna().tolist() == [True, *[False] * 6]
    status, table, said = score(*files, "--skip-bad")
    assert (status, len(table)) == (0, 2)
    assert "left out: 5 of 7 recordings cannot be used" in said and "nan.wav" in said


def test_states_are_never_numbers(score: Score, tmp_path: Path) -> None:
    tone = 0.9 * np.sin(np.arange(8000) / 7)
    for name, wave, rate in (
        ("loud.wav", tone, 16000), ("clipped.wav", 2 * tone, 16000), ("low.wav", tone, 8000),
        ("silent.wav", 0 * tone, 16000), ("stereo.wav", np.stack([tone, 0 * tone], 1), 16000),
        ("constant.wav", 0 * tone + 0.3, 16000),
    ):  # fmt: skip
        soundfile.write(tmp_path / name, wave.clip(-1, 1), rate)
    status, table, _ = score(tmp_path)
    states = dict(zip(table["file"].map(lambda file: Path(file).stem), table["state"], strict=True))
    assert status == 2 and table["score"].notna().sum() == 1
    assert states.pop("stereo").endswith("--channel (it is null)")
    assert states.pop("clipped").startswith("clipped: 6")
    assert states == {
        "loud": "scored", "silent": "silent", "constant": "silent",
        "low": "wrong rate: 8000 Hz, below 16000; see --resample",
    }  # fmt: skip
    more = ("--channel", "0", "--resample", "--clipped", "1")
    status, table, _ = score(tmp_path, *more)
    assert (status, table["score"].notna().sum()) == (0, 4)
    scores = table.set_index("file")["score"]
    assert scores[f"{tmp_path}/stereo.wav"] == scores[f"{tmp_path}/loud.wav"]


def test_verdicts_are_those_of_the_calibration(
    score: Score, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for n, loud in enumerate((1e-3, 0.1, 0.9)):
        wave = loud * np.random.default_rng(0).uniform(-1, 1, 8000)
        soundfile.write(tmp_path / f"{n}.wav", wave, 16000)
    files = [tmp_path / f"{n}.wav" for n in range(3)]
    scores = score(*files)[1]["score"]
    low, _, high = sorted(scores)
    detector = load_detector(tmp_path / "model.ckpt")
    nine = torch.linspace(low, high, 9, dtype=torch.float64)
    detector.calibration = {"fan/00": nine}
    detector.recipe["calibration"] = {"fraction": 0.2, "rule": "conformal", "false_alarms": 0.1}
    save_detector(detector, tmp_path / "model.ckpt")

    _, table, said = score(*files)
    assert said == "" and table["score"].tolist() == scores.tolist()
    expected = [(1 + int((nine >= value).sum())) / 10 for value in scores]
    assert table["p_value"].tolist() == expected
    assert table["percentile"].tolist() == [100 * int((nine < v).sum()) / 9 for v in scores]
    assert table["verdict"].tolist() == ["OK"] * 3  # none is above the greatest
    _, table, _ = score(*files, "--false-alarms", "0.2")
    assert table["verdict"].tolist() == ["ALARM" if v == high else "OK" for v in scores]
    status, table, said = score(*files, "--false-alarms", "0.05")
    assert (status, len(table)) == (2, 0) and "5 % needs 19 clips" in said
    assert score(*files, "--false-alarms", "0.05", "--rule", "quantile")[0] == 0
    score(*files)  # to throw away what was printed
    assert main([str(tmp_path / "model.ckpt"), str(files[0]), "--format", "jsonl"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert line == {**score(files[0])[1].iloc[0].to_dict(), "file": str(files[0])}
    detector.recipe["calibration"]["false_alarms"] = 0.01
    save_detector(detector, tmp_path / "model.ckpt")
    status, table, said = score(*files)
    assert status == 0 and table["verdict"].isna().all() and said.count("no verdicts: fan/00") == 1


def test_a_batch_of_any_size_gives_each_recording_its_own_score(
    score: Score, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "in"
    place.mkdir()
    for n in range(7):
        wave = np.random.default_rng(n).uniform(-1, 1, 4000 + 300 * n) / 10
        soundfile.write(place / f"{n}.wav", wave, 16000)
    (place / "3.wav").write_bytes(b"RIFF")
    whole = score(place)[1]
    monkeypatch.setattr("asd.scoring.recordings._AT_A_TIME", 2)
    pd.testing.assert_frame_equal(score(place)[1], whole)
    alone = [score(file)[1]["score"] for file in sorted(place.iterdir()) if file.stem != "3"]
    assert whole["score"].dropna().tolist() == pytest.approx([float(one[0]) for one in alone])


def test_recordings_of_other_machines_are_said(score: Score, tmp_path: Path) -> None:
    names = (
        "fan/test/normal_id_00_1.wav", "fan/test/anomaly_id_02_1.wav", "any.wav",
        "valve/test/normal_id_00_1.wav", "valve/today.wav",
    )  # fmt: skip
    for name in names:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "in" / name, 0.1 * np.sin(np.arange(8000) / 7), 16000)
    status, table, said = score(tmp_path / "in")
    assert (status, len(table)) == (0, 5)
    states = {Path(file).relative_to(tmp_path / "in").as_posix(): state
              for file, state in zip(table["file"], table["state"], strict=True)}  # fmt: skip
    assert states == {
        "any.wav": "scored", "fan/test/normal_id_00_1.wav": "scored", "valve/today.wav": "scored",
        "fan/test/anomaly_id_02_1.wav": "scored, but ID 02 was not trained",
        "valve/test/normal_id_00_1.wav": "wrong machine: valve, not fan",
    }  # fmt: skip
    assert table["score"].isna().sum() == 1 and "no calibration" in said


def test_folders_and_names_of_all_kinds(score: Score, tmp_path: Path) -> None:
    place = tmp_path / "in"
    place.mkdir()
    sound = np.random.default_rng(0).integers(-999, 999, 8000, np.int16)
    soundfile.write(place / "a.wav", sound, 16000)
    (place / "a.wav").rename(place / "b\udcfc.wav")
    soundfile.write(place / "a.FLAC", sound, 16000, format="FLAC")
    (place / "more").mkdir()
    (place / "more/notes.txt").touch()
    status, table, said = score(place)
    assert status == 0
    assert table["file"].tolist() == [f"{place}/a.FLAC", f"{place}/b\\udcfc.wav"]
    assert table["score"][0] == table["score"][1]
    assert "1 other files" in said and "notes.txt" in said
