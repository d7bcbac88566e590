"""asd.score takes a model from MLflow's registry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from parts import CONV, MSE, scoring_of

from asd.models.detector import Detector, save_detector
from asd.score import main as score

RECIPE: dict[str, Any] = {
    "bands": 8, "frames": 16, "classes": [], "channel": None, "model": CONV, "loss": MSE,
    "frontend": {"_target_": "asd.frontends.mel.Mel", "bands": 8, "n_fft": 256, "hop": 128},
    "window": {"_target_": "asd.data.windows.Windows", "seconds": None, "frames": 16,
               "cover": "first"},
    "scoring": scoring_of(), "longest_seconds": 1e9,
}  # fmt: skip


def test_a_registered_model_scores_as_its_file_does(
    tmp_path: Path, write_clip: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    from mlflow import MlflowClient

    torch.manual_seed(0)
    checkpoint = tmp_path / "somewhere" / "model.ckpt"
    save_detector(Detector(RECIPE), checkpoint)
    clip, uri = str(write_clip(tmp_path / "clip.wav", seconds=1.0)), f"sqlite:///{tmp_path}/ml.db"
    command = ["models:/fan@champion", clip, "--tracking-uri", uri]
    assert score(command) == 2
    assert "no such database" in capsys.readouterr().err
    client = MlflowClient(uri)
    assert score(command) == 2
    said = capsys.readouterr().err
    assert "name=fan not found" in said and "disk" not in said and "damaged" not in said
    run = client.create_run(client.create_experiment("e", (tmp_path / "artifacts").as_uri()))
    client.log_artifact(run.info.run_id, str(checkpoint), "model/artifacts")
    client.create_registered_model("fan")
    client.create_model_version("fan", f"{run.info.artifact_uri}/model", run.info.run_id)
    capsys.readouterr()
    assert score(command) == 2
    assert "champion" in capsys.readouterr().err
    client.set_registered_model_alias("fan", "champion", "1")
    assert score(command) == 0
    registered = capsys.readouterr().out
    assert score([str(checkpoint), clip]) == 0
    assert capsys.readouterr().out == registered and ",scored" in registered
