"""``python -m asd.score``: the checks and warnings of training, on recordings of all kinds."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from corpora import folder
from parts import CONV, MSE

from asd.models.detector import Detector, save_detector
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
        "scoring": {"score": "mse", "max_fpr": 0.1, "batch_frames": 100, "form": "auto"},
    }  # fmt: skip
    save_detector(Detector(recipe, Standardiser.identity(BANDS)), tmp_path / "model.ckpt")

    def run(*paths: Path) -> tuple[int, pd.DataFrame, str]:
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
        ("PCM_16", 16000, 0, "FLAC"), ("MPEG_LAYER_III", 16000, 1, "MP3"),
    )  # fmt: skip
    for n, (subtype, rate, scale, container) in enumerate(kinds):
        file = place / f"normal_id_00_{n}.{container.lower()}"
        soundfile.write(file, noise * scale, rate, subtype=subtype, format=container)
    folder(tmp_path / "corpus").manifest(["development"])
    training = [record.getMessage() for record in caplog.records]
    assert len(training) == 5
    status, table, _ = score(place)
    assert status == 0
    assert len(table) == 5 and np.isfinite(table["score"]).all()
    assert [r.levelno for r in caplog.records] == [logging.WARNING] * 5
    ours = [r.getMessage().replace("these recordings", "") for r in caplog.records]
    ours = [text.replace(f"{tmp_path / 'corpus'}/", "") for text in ours]
    assert ours == [text.replace(str(tmp_path / "corpus"), "") for text in training]


def test_what_cannot_be_scored_is_an_error(score: Score, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "good.wav", np.full(8000, 0.1), 16000)
    soundfile.write(tmp_path / "loud.wav", np.full(8000, 1e20), 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "nan.wav", np.full(8000, np.nan), 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "frame.wav", np.full(100, 0.1), 16000)
    soundfile.write(tmp_path / "window.wav", np.full(600, 0.1), 16000)
    (tmp_path / "device.wav").symlink_to("/dev/zero")
    for name, message in (
        ("loud.wav", "has samples of 1e+20"),
        ("nan.wav", "NaN"),
        ("frame.wav", "clip of 100 samples is too short"),
        ("window.wav", "shorter than a window of 4 frames"),
        ("device.wav", "no regular file"),
        ("nowhere.wav", "cannot be read"),
    ):
        status, table, said = score(tmp_path / "good.wav", tmp_path / name)
        assert (status, len(table)) == (2, 0)
        assert name in said and message in said


def test_recordings_of_other_machines_are_said(score: Score, tmp_path: Path) -> None:
    names = (
        "fan/test/normal_id_00_1.wav", "fan/test/anomaly_id_02_1.wav", "any.wav",
        "valve/test/normal_id_00_1.wav", "valve/today.wav",
    )  # fmt: skip
    for name in names:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "in" / name, np.full(8000, 0.1), 16000)
    status, table, said = score(tmp_path / "in")
    assert (status, len(table)) == (0, 5)
    assert "1 recordings are of machine types that this detector (of fan) was not trained" in said
    assert "valve/test/normal_id_00_1.wav: valve" in said
    assert "1 recordings are of machine IDs that this detector (of fan) was not trained" in said
    assert "fan/test/anomaly_id_02_1.wav: fan ID 02" in said


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
