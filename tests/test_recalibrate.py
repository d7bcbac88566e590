"""``python -m asd.recalibrate``: confirmed normal clips become the calibration, the rest stays."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from parts import save_model

from asd.models.detector import load_detector
from asd.recalibrate import main as recalibrate
from asd.score import main as score

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    place = tmp_path / "confirmed"
    place.mkdir()
    for n in range(12):
        values = (0.05 + 0.01 * n) * np.random.default_rng(n).uniform(-1, 1, 16000)
        soundfile.write(place / f"{n}.wav", values, 16000)
    return place


def test_only_the_calibration_is_new(clips: Path, tmp_path: Path, capsys: Capture) -> None:
    ids = [("fan", "00"), ("fan", "02")]
    old = save_model(tmp_path / "old" / "model.ckpt", ids=ids)
    before, out = old.read_bytes(), tmp_path / "new"
    words = [str(old), str(clips), "--class", "fan/02"]
    assert score(words) == 0
    scores = pd.read_csv(io.StringIO(capsys.readouterr().out))["score"]
    assert recalibrate([*words, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    # The promise by the definition: of 12, what 1 / 13 can keep.
    assert said.startswith(
        f"fan/id_02: from your 0.2 minutes: at a threshold of {scores.max():.4g}, at most 7.69231 %"
    )
    assert "5 % needs 19 clips" in said
    assert said.endswith(f"fan/00: as before\n{out / 'model.ckpt'}\n")
    assert old.read_bytes() == before
    one, two = load_detector(old), load_detector(out / "model.ckpt")
    assert two.calibration["fan/02"].tolist() == sorted(scores)
    assert torch.equal(two.calibration["fan/00"], one.calibration["fan/00"])
    assert set(two.profiles) == {"fan/02"}
    recipe = dict(two.recipe)
    assert recipe.pop("recalibrated_from") and recipe == one.recipe
    for name, weights in one.state_dict().items():
        assert torch.equal(weights, two.state_dict()[name])
    again = ["--class", "fan/02", "--false-alarms", "0.1"]
    assert score([str(out), str(clips), *again]) == 0
    table = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert table["score"].tolist() == scores.tolist()
    assert table["verdict"].value_counts().to_dict() == {"OK": 12}

    assert recalibrate([*words, "--out", str(out)]) == 2
    assert "is there already" in capsys.readouterr().err


def test_what_would_break_the_promise_is_refused(
    clips: Path, tmp_path: Path, capsys: Capture
) -> None:
    model = save_model(tmp_path / "model.ckpt", ids=[("fan", "00"), ("fan", "02")])
    words = [str(model), str(clips), "--out", str(tmp_path / "new")]
    assert recalibrate(words) == 2
    assert "of which machine? --class MACHINE/ID, of fan/00, fan/02" in capsys.readouterr().err
    full = [str(model), str(clips), "--class", "fan/00", "--out", str(model)]
    assert recalibrate(full) == 2
    assert "cannot be written" in capsys.readouterr().err
    older = save_model(tmp_path / "older.ckpt", calibration={})
    assert recalibrate([str(older), str(clips), "--out", str(tmp_path / "new")]) == 2
    assert "calibration" in capsys.readouterr().err
    soundfile.write(clips / "short.wav", np.linspace(0, 0.1, 600), 16000)
    assert recalibrate([*words, "--class", "fan/00"]) == 2
    assert "short.wav: no score, as asd.score says: wrong length: " in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_clips_that_must_not_calibrate_are_left_out(
    clips: Path, tmp_path: Path, capsys: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    contents = [hashlib.blake2b((clips / f"{n}.wav").read_bytes(), digest_size=8) for n in (3, 5)]
    trained_on = [int.from_bytes(content.digest()) for content in contents]
    model = save_model(tmp_path / "model.ckpt", trained_on=trained_on)
    plain = save_model(tmp_path / "plain.ckpt")
    good = [clips / f"{n}.wav" for n in range(12) if n not in (3, 5)]
    assert recalibrate([str(plain), *map(str, good), "--out", str(tmp_path / "expected")]) == 0
    assert "does not say which clips trained it" in capsys.readouterr().err

    (clips / "copy.wav").write_bytes((clips / "4.wav").read_bytes())
    soundfile.write(clips / "off.wav", np.zeros(16000), 16000)
    soundfile.write(clips / "loud.wav", np.sign(np.sin(np.arange(16000))), 16000)
    assert recalibrate([str(model), str(clips), "--out", str(tmp_path / "new")]) == 0
    said = f"{caplog.text}\n"
    assert "5 of 15 clips do not calibrate (2 trained on, 1 twice, 1 clipped, 1 silent):" in said
    assert f"  {clips / '5.wav'}: trained on: its p-value would be too small\n" in said
    assert f"  {clips / 'copy.wav'}: twice: it is a copy of {clips / '4.wav'}\n" in said
    assert "loud.wav: clipped: 100 % of the samples at full scale\n" in said
    expected, new = (load_detector(tmp_path / n / "model.ckpt") for n in ("expected", "new"))
    assert new.calibration["fan/00"].tolist() == expected.calibration["fan/00"].tolist()
    assert set(new.spectra) == set(expected.spectra) and len(new.spectra) == 10
    known = [str(clips / f"{n}.wav") for n in (3, 5)]
    assert recalibrate([str(model), *known, "--out", str(tmp_path / "none")]) == 2
    assert "no clip is left to calibrate with" in capsys.readouterr().err


def test_pictures_compare_with_the_first_fifty_of_an_id_however_many_there_are(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In as many parts as they are scored in, of any size."""
    model = str(save_model(tmp_path / "model.ckpt"))
    for n, at_a_time in enumerate((512, 5)):
        monkeypatch.setattr("asd.scoring.recordings._AT_A_TIME", at_a_time)
        monkeypatch.setattr("asd.scoring.error_maps._NORMAL_CLIPS", 5)
        assert recalibrate([model, str(clips), "--out", str(tmp_path / str(n))]) == 0
    one, two = (load_detector(tmp_path / str(n) / "model.ckpt") for n in range(2))
    assert torch.equal(one.profiles["fan/00"], two.profiles["fan/00"])
    assert list(one.spectra) == list(two.spectra) and len(one.spectra) == 5
