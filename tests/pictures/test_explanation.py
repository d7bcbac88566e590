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

import asd
from asd.data.windows import Windows
from asd.experiment.run_folder import RunFolder
from asd.features.part import Features
from asd.models.detector import Detector, load_detector
from asd.score import main as score
from asd.scoring.error_maps import QUANTILES, error_maps, normal_clips
from asd.scoring.scorer import ScoredClips

MEAN, STD = np.array([-50.0, -40, -30]), np.array([1.0, 2, 4])


def test_what_is_kept_of_normal_clips() -> None:
    """Quantiles of their errors, or without a network levels; ``test_run_pictures`` has the error
    by hand. And their mean levels, of which the nearest is found by the definition.
    """
    recipe = {"bands": 3, "frames": 5, "classes": [], "model": {"_target_": None},
              "loss": MSE}  # fmt: skip
    detector = Detector(recipe)
    values = np.random.default_rng(0).normal(MEAN, STD, (40, 3)).astype(np.float32)
    index = Windows(None, 5, "all").starts(5, np.full(4, 10), list("abcd"))
    files = [f"/home/me/{name}" for name in ("a/b/c/1.wav", "2.wav", "3.wav", "4.wav")]
    table = pd.DataFrame({"machine": "fan", "id": ["00", "00", "02", "02"], "file": files})
    scored = ScoredClips(detector, Features(values, np.full(4, 10)), index, table, None)
    error = values.reshape(4, 10, 3)
    np.testing.assert_array_equal(error_maps(scored, 2)["input"], error[2])
    profiles, detector.spectra = normal_clips(scored)
    assert list(profiles) == ["fan/00", "fan", "all", "fan/02"]
    for bank, own in (("fan/00", error[:2]), ("fan", error), ("all", error)):
        bands = np.quantile(own.mean(1), QUANTILES, axis=0)
        frames = np.quantile(own.mean(2), QUANTILES)
        np.testing.assert_allclose(profiles[bank][:, :3], bands, rtol=1e-4)
        np.testing.assert_allclose(profiles[bank][:, 3], frames, rtol=1e-4)

    names = ["00/b/c/1.wav", "00/home/me/2.wav", "02/home/me/3.wav", "02/home/me/4.wav"]
    assert list(detector.spectra) == [f"fan/{name}" for name in names]
    np.testing.assert_allclose(torch.stack([*detector.spectra.values()]), error.mean(1), rtol=1e-5)


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

    clips = pd.read_csv(model / "calibration.csv", dtype={"id": str})
    spectra = load_detector(model / "model.ckpt").spectra
    assert set(spectra) == set("fan/" + clips["id"] + "/" + clips["file"])

    model_api = asd.load(record.parent, class_name="fan/02")
    own = clips["file"][clips["id"] == "02"]
    waves = [soundfile.read(root / file, dtype="float32")[0] for file in own]
    levels = [model_api.scorer.frontend.features(wave).mean(0) for wave in waves]
    for n in range(2):
        wave = soundfile.read(root / f"fan/test/normal_id_02_{n:08d}.wav", dtype="float32")[0]
        level = model_api.scorer.frontend.features(wave).mean(0)
        nearest = own.iloc[np.argmin([((one - level) ** 2).mean() for one in levels])]
        found = model_api.explain(wave, 16000, tmp_path / "why.png")
        assert found == f"fan/02/{nearest}"
    test = root / "fan" / "test"
    soundfile.write(test / "normal_id_00_99.wav", np.zeros(8000), 16000)
    why = tmp_path / "why"
    assert score([str(record.parent), str(test), "--explain", str(why)]) == 0
    pictures = sorted(why.iterdir())
    assert len(pictures) == 8 and all(picture.stem.endswith(".wav") for picture in pictures)
    for picture in pictures[:2]:
        image = np.asarray(Image.open(picture).convert("RGB"))
        assert min(image.shape[:2]) > 600 and len(np.unique(image.reshape(-1, 3), axis=0)) > 200
    assert score([str(record.parent), str(test), "--explain", str(record)]) == 2
    assert ".wav.png: cannot be written: " in capsys.readouterr().err

    content = torch.load(model / "model.ckpt", weights_only=True)
    other = ["--explain", str(tmp_path / "other")]
    earlier = {name: part for name, part in content["asd"].items() if name != "spectra"}
    torch.save({**content, "asd": earlier}, model / "model.ckpt")
    assert score([str(record.parent), str(test), *other]) == 0
    sizes = [Image.open(folder / pictures[0].name).size for folder in (tmp_path / "other", why)]
    assert sizes[0] == sizes[1]
    for damaged in (
        {"profiles": {"fan/00": torch.ones(3, 7)}}, {"profiles": {"fan/00": torch.ones(3)}},
        {"spectra": {"fan/00/1.wav": torch.ones(7)}}, {"spectra": {"fan/00/1.wav": {}}},
    ):  # fmt: skip
        torch.save({**content, "asd": {**content["asd"], **damaged}}, model / "model.ckpt")
        capsys.readouterr()
        assert score([str(record.parent), str(test), *other]) == 2
        assert "its calibration is damaged" in capsys.readouterr().err
