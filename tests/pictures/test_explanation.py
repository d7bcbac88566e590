"""Why a recording has its score: what is kept of normal clips, and the pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from parts import MSE
from PIL import Image

from asd.data.windows import Windows
from asd.experiment.run_folder import RunFolder
from asd.features.part import Features
from asd.models.detector import Detector, load_detector
from asd.score import main as score
from asd.scoring.error_maps import QUANTILES, error_maps, error_profiles
from asd.scoring.scorer import ScoredClips

MEAN, STD = np.array([-50.0, -40, -30]), np.array([1.0, 2, 4])


def test_profiles_are_quantiles_of_the_errors_of_normal_clips() -> None:
    """Without a network of their levels; with one, ``test_run_pictures`` has the error by hand."""
    recipe = {"bands": 3, "frames": 5, "classes": [], "model": {"_target_": None},
              "loss": MSE}  # fmt: skip
    detector = Detector(recipe)
    values = np.random.default_rng(0).normal(MEAN, STD, (40, 3)).astype(np.float32)
    index = Windows(None, 5, "all").starts(5, np.full(4, 10), list("abcd"))
    table = pd.DataFrame({"machine": "fan", "id": ["00", "00", "02", "02"]})
    scored = ScoredClips(detector, Features(values, np.full(4, 10)), index, table, None)
    error = values.reshape(4, 10, 3)
    np.testing.assert_array_equal(error_maps(scored, 2)["input"], error[2])
    profiles = error_profiles(scored)
    assert list(profiles) == ["fan/00", "fan", "all", "fan/02"]
    for bank, own in (("fan/00", error[:2]), ("fan", error), ("all", error)):
        bands = np.quantile(own.mean(1), QUANTILES, axis=0)
        frames = np.quantile(own.mean(2), QUANTILES)
        np.testing.assert_allclose(profiles[bank][:, :3], bands, rtol=1e-4)
        np.testing.assert_allclose(profiles[bank][:, 3], frames, rtol=1e-4)


@pytest.mark.parametrize("system", ["u", "knn"])
def test_a_picture_a_recording(
    system: str, run_train: Callable[..., int], tmp_path: Path, write_corpus: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    root = write_corpus(machines=("fan",), train=10, seconds=0.5)
    options = ["data=folder", f"data.root={root}", "scale=tiny", "tracking=off",
               "window.seconds=0.5", "calibration.fraction=0.4"]  # fmt: skip
    assert run_train(f"+experiment={system}", *options) == 0
    (record,) = (tmp_path / "runs").glob("*/run.json")
    model = RunFolder(record.parent).model("shared")
    profiles = load_detector(model / "model.ckpt").profiles
    assert set(profiles) == {"fan/00", "fan/02", "fan", "all"}
    assert all((profile.diff(dim=0) >= 0).all() for profile in profiles.values())

    test = root / "fan" / "test"
    soundfile.write(test / "normal_id_00_99.wav", np.zeros(8000), 16000)
    assert score([str(record.parent), str(test), "--explain", str(tmp_path / "why")]) == 0
    pictures = sorted((tmp_path / "why").iterdir())
    assert len(pictures) == 8 and all(picture.stem.endswith(".wav") for picture in pictures)
    for picture in pictures[:2]:
        image = np.asarray(Image.open(picture).convert("RGB"))
        assert min(image.shape[:2]) > 600 and len(np.unique(image.reshape(-1, 3), axis=0)) > 200
    assert score([str(record.parent), str(test), "--explain", str(record)]) == 2
    assert ".wav.png: cannot be written: " in capsys.readouterr().err

    content = torch.load(model / "model.ckpt", weights_only=True)
    for damaged in (torch.ones(3, 7), torch.ones(3)):
        about = {**content["asd"], "profiles": {"fan/00": damaged}}
        torch.save({**content, "asd": about}, model / "model.ckpt")
        capsys.readouterr()
        other = ["--explain", str(tmp_path / "other")]
        assert score([str(record.parent), str(test), *other]) == 2
        assert "its calibration is damaged" in capsys.readouterr().err
