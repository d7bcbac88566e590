"""``import asd``: quick and light, and then the same scores and figures as the programs give."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from parts import save_model, scoring_of
from PIL import Image

import asd
from asd.errors import AsdError
from asd.score import main as score


def test_import_asd_brings_nothing_heavy_until_it_is_asked_for() -> None:
    code = (
        "import sys, asd\n"
        "heavy = {'torch', 'mlflow', 'hydra', 'numpy', 'pandas'}\n"
        "assert not heavy & set(sys.modules)\n"
        "assert callable(asd.load) and callable(asd.results)\n"
        "assert not heavy & set(sys.modules)\n"
        "assert not hasattr(asd, 'lode')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("kind", ["int16", ">i2", "float32", ">f4", ">f8", "stereo"])
def test_an_array_is_scored_as_the_file_of_it(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save_model(tmp_path / "model.ckpt")
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, (8000, 2)).astype(np.float32)
    ints = (32767 * wave[:, 0]).astype(np.int16)
    samples = {"int16": ints, ">i2": ints, "stereo": wave}.get(kind, wave[:, 0])
    subtype = "PCM_16" if kind in ("int16", ">i2") else "FLOAT"
    soundfile.write(tmp_path / "same.wav", samples, 22050, subtype=subtype)
    given = ["--channel", "1"] if kind == "stereo" else []
    assert score([str(path), str(tmp_path / "same.wav"), "--false-alarms", "0.05", *given]) == 0
    expected = pd.read_csv(io.StringIO(capsys.readouterr().out)).iloc[0].drop("file").to_dict()
    model = asd.load(path, false_alarms=0.05, channel=1 if kind == "stereo" else None)
    samples = samples if kind == "stereo" else samples.astype(kind)
    assert model.score(samples, 22050) == expected
    model.explain(samples, 22050, tmp_path / "why.png")
    assert min(Image.open(tmp_path / "why.png").size) > 600


def test_what_cannot_be_scored_says_so(tmp_path: Path) -> None:
    model = asd.load(str(save_model(tmp_path / "model.ckpt")))
    nothing = model.score(np.zeros(8000), 16000)
    assert nothing == {**dict.fromkeys(nothing), "state": "silent"}
    assert model.score(np.full(8000, np.nan), 16000)["state"].startswith("error: samples: ")
    with pytest.raises(AsdError, match=r"why.png: not drawn, as there is no score: silent"):
        model.explain(np.zeros(8000), 16000, tmp_path / "why.png")
    none = [(np.zeros((2, 2, 2)), 16000), (np.zeros(9), -1), (np.zeros(9), 2**40), (["a"], 9)]
    # Integers of another size would be taken for floats, a thousand times too loud.
    none += [(np.zeros(9000, kind), 16000) for kind in ("i4", "i8", "u1", "?", "c8", "f2", "O")]
    for samples, rate in [*none, (None, 16000), (np.float32(1), 16000), ([[1.0], [1.0, 2.0]], 9)]:
        with pytest.raises(AsdError, match="cannot be a file"):
            model.score(samples, rate)
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, 8000)
    with pytest.raises(AsdError, match=r"why.none: cannot be written: "):
        model.explain(sound, 16000, tmp_path / "why.none")
    ids = {"_target_": "asd.models.loss.ClassificationLoss", "classes": "id", "mixup": 0.0,
           "centres": None, "scale": None, "margin": 0.0}  # fmt: skip
    classes, scoring = ["fan/00", "fan/02"], scoring_of(score="cce")
    other = save_model(tmp_path / "other.ckpt", loss=ids, classes=classes, scoring=scoring)
    with pytest.raises(AsdError, match="this system reconstructs nothing"):
        asd.load(other, class_name="fan/00").explain(sound, 16000, tmp_path / "why.png")
    with pytest.raises(AsdError, match="nowhere"):
        asd.load(tmp_path / "nowhere")
    (tmp_path / "runs").mkdir()
    with pytest.raises(AsdError, match="neither a run's folder nor a model's"):
        asd.load(tmp_path / "runs")
    for wrong in ({"rule": "none"}, {"false_alarms": 2.0}):
        with pytest.raises(AsdError, match="calibration"):
            asd.load(other, class_name="fan/00", **wrong)


def test_a_classifier_has_no_error_to_explain(tmp_path: Path) -> None:
    loss = {"_target_": "asd.models.loss.ClassificationLoss", "classes": "id", "mixup": 0.5,
            "centres": 2, "scale": None, "margin": 0.0}  # fmt: skip
    given = {"loss": loss, "classes": ["fan/00", "fan/02"], "scoring": scoring_of(score="cce")}
    model = asd.load(save_model(tmp_path / "model.ckpt", **given))
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 16000)
    assert model.score(samples, 16000)["score"] > 0
    with pytest.raises(AsdError, match="reconstructs nothing"):
        model.explain(samples, 16000, tmp_path / "why.png")


def test_results_are_those_of_the_runs_tables(
    run_train: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(AsdError, match="no such folder"):
        asd.results(tmp_path / "runs")
    options = ["+experiment=level", "tracking=off", "data.machines=[fan,valve]"]
    for seed in (0, 1):
        assert run_train(*options, f"seed={seed}") == 0
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "run.json").write_text("{")
    capsys.readouterr()
    table = asd.results()  # the working directory is tmp_path
    assert "not among the results: broken (" in capsys.readouterr().out  # where Hydra logs
    assert set(table["seed"]) == {0, 1} and set(table["data"]) == {"simulated"}
    for run, own in table.groupby("run"):
        scores = pd.read_csv(tmp_path / "runs" / str(run) / "scores.csv", dtype={"id": str})
        for row in own.itertuples():
            clips = scores[(scores["machine"] == row.machine) & (scores["id"] == row.id)]
            normal, anomaly = (clips.loc[clips["label"] == k, "score"].to_numpy() for k in (0, 1))
            above = (anomaly[:, None] > normal) + 0.5 * (anomaly[:, None] == normal)
            assert row.auc == pytest.approx(above.mean())
            assert (row.n_normal, row.n_anomaly) == (len(normal), len(anomaly))
