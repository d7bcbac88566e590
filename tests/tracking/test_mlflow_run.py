"""MLflow runs and run folders on the embedded database; the folders are written by hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from asd.data.manifest import COLUMNS, Manifest
from asd.errors import AsdError
from asd.experiment.run_folder import RunFolder
from asd.experiment.run_labels import run_name, run_params
from asd.tracking import sync
from asd.tracking.datasets import describe
from asd.tracking.experiment_page import VIEW
from asd.tracking.mlflow_run import MlflowRun
from asd.tracking.mlflow_store import Tracking, absolute_uri, connect

EPOCHS = 4


def clips(split: str, label: int) -> Manifest:
    rows = [
        [release, "fan", f"0{n}", split, label, f"{release}/{split}/{n}.wav", 16000, 16000, f"h{n}"]
        for release in ("additional", "development")
        for n in range(3)
    ]
    return Manifest(Path("/secret/place"), pd.DataFrame(rows, columns=COLUMNS))


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables, which take seconds to make."""
    made = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    connect(tracker(uri=f"sqlite:///{made}", experiment="other"))
    return made


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_database: Path) -> RunFolder:
    """A finished run's folder, as training without a tracker leaves it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlruns").mkdir()
    shutil.copy(empty_database, tmp_path / "mlruns" / "mlflow.db")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    made = RunFolder(tmp_path / "runs" / "u-seed0")
    model = made.model("shared")
    model.mkdir(parents=True)
    rows = [f"{epoch},{9.0 - epoch},0.5" for epoch in range(EPOCHS)]
    (model / "history.csv").write_text("\n".join(["epoch,val/loss,epoch_seconds", *rows, ""]))
    (model / "model.ckpt").write_bytes(b"weights")
    lines = [f"fan,00,{n}.wav,{n % 2},{n}.5" for n in range(8)]
    made.scores.write_text("\n".join(["machine,id,file,label,score", *lines, ""]))
    (made.path / "pictures").mkdir()
    (made.path / "pictures" / "roc.png").write_bytes(b"png")
    made.config.write_text("seed: 0\n")
    made.update(
        status="FINISHED", title="U, seed 0", data_label="SIMULATED", max_fpr=0.1,
        run_name="U seed 0", tags={"system": "U"}, params={"system": "U", "seed": 0},
        resources={"wall_seconds": 12.5}, ended=1_700_000_000_000, mlflow_experiment="mine",
        datasets=[
            describe(clips("train", 0), "simulated", "training"),
            describe(clips("test", 1), "simulated", "testing"),
        ],
    )  # fmt: skip
    return made


def tracker(**more: Any) -> Tracking:
    options = {
        "enabled": True, "uri": "sqlite:///mlruns/mlflow.db", "artifacts": "mlruns/artifacts",
        "experiment": "mine", **more,
    }  # fmt: skip
    return Tracking.of(options)


def synced(folder: RunFolder, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    status = sync.main([str(folder.path), *options])
    out, err = capsys.readouterr()
    assert status == (2 if "error:" in err else 0)
    return out + err


def steps(client: Any, run_id: str) -> list[int]:
    return sorted(m.step for m in client.get_metric_history(run_id, "val/loss"))


def test_a_folder_alone_makes_the_whole_run_and_again_changes_nothing(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "completed as FINISHED" in synced(folder, capsys)
    client, experiment = connect(tracker())
    (run,) = client.search_runs([experiment])
    assert run.info.run_name == "U seed 0"
    assert (run.info.status, run.info.end_time) == ("FINISHED", 1_700_000_000_000)
    assert run.data.params == {"system": "U", "seed": "0"}
    assert run.data.tags["system"] == "U"
    assert "SIMULATED" in run.data.tags["mlflow.note.content"]
    assert run.data.metrics["auc/mean"] == run.data.metrics["id_auc/fan/id_00"] == 0.625
    assert run.data.metrics["wall_seconds"] == 12.5
    assert steps(client, run.info.run_id) == list(range(EPOCHS))
    for place, file in (("pictures", "roc.png"), ("models/shared", "model.ckpt")):
        there = {a.path for a in client.list_artifacts(run.info.run_id, place)}
        assert f"{place}/{file}" in there

    by_context = {i.tags[0].value: i.dataset for i in run.inputs.dataset_inputs}
    assert set(by_context) == {"training", "testing"}
    train = by_context["training"]
    assert train.name == "simulated development+additional train"
    assert train.digest == clips("train", 0).data_hash()
    assert json.loads(train.profile)["clips"] == 6
    assert "secret" not in train.source

    assert "already complete" in synced(folder, capsys)
    folder.update(published=False)
    assert "completed as FINISHED" in synced(folder, capsys)
    (again,) = client.search_runs([experiment])
    assert again.data.metrics == run.data.metrics
    assert len(client.get_metric_history(run.info.run_id, "auc/mean")) == 1
    assert steps(client, run.info.run_id) == list(range(EPOCHS))


def test_a_new_experiment_shows_the_headlines(folder: RunFolder) -> None:
    client, experiment = connect(tracker(experiment="fresh"))
    tags = client.get_experiment(experiment).tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    view = json.loads(tags[f"mlflow.sharedViewState.{VIEW}"])
    assert view["name"] == "Headline metrics"
    assert view["state"].startswith("deflate;")


def test_epochs_that_the_tracker_missed_are_filled_in(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    run = MlflowRun(tracker(), folder)
    run.start("U seed 0", {}, {})
    assert run.run_id is not None
    for epoch in (0, 2):
        run.log_epoch("shared", epoch, {"val/loss": 9.0 - epoch})
    client, _ = connect(tracker())
    before = {m.step: m.timestamp for m in client.get_metric_history(run.run_id, "val/loss")}
    run.finish("FINISHED")
    after = {m.step: m.timestamp for m in client.get_metric_history(run.run_id, "val/loss")}
    assert steps(client, run.run_id) == list(range(EPOCHS))
    assert {s: after[s] for s in before} == before
    assert after[3] - after[1] == pytest.approx(1000, abs=2)  # two epochs of half a second
    assert folder.record()["published"] is True


def test_a_run_whose_process_was_killed_becomes_failed(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    run = MlflowRun(tracker(), folder)
    run.start("U seed 0", {}, {})
    folder.update(status="RUNNING")
    with folder.lock():
        assert "being trained by another process" in synced(folder, capsys)
    client, _ = connect(tracker())
    assert client.get_run(run.run_id).info.status == "RUNNING"
    assert "completed as FAILED" in synced(folder, capsys)
    assert client.get_run(run.run_id).info.status == "FAILED"
    assert folder.record()["status"] == "FAILED"


def test_a_run_deleted_in_mlflow_is_made_anew(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    synced(folder, capsys)
    client, experiment = connect(tracker())
    first = folder.record()["mlflow"]["run_id"]
    client.delete_run(first)
    synced(folder, capsys)
    (run,) = client.search_runs([experiment])
    assert run.info.run_id == folder.record()["mlflow"]["run_id"] != first


def test_what_is_no_run_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no run folder" in synced(RunFolder(tmp_path), capsys)


def test_system_metrics_are_logged_when_asked_for(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")
    run = MlflowRun(tracker(system_metrics=True), folder)
    run.start("U seed 0", {}, {})
    client, _ = connect(tracker())
    for _ in range(400):
        found = client.get_run(run.run_id).data.metrics
        if "system/cpu_utilization_percentage" in found:
            break
        run.log_epoch("other", 0, {"busy": 1.0})
    run.finish("FINISHED")
    assert "system/cpu_utilization_percentage" in client.get_run(run.run_id).data.metrics


@pytest.mark.parametrize(
    "uri",
    [
        "http://ada:lovelace@server:5000",
        "postgresql://ada:lovelace@server/mlflow",
        "postgresql://ada@server/mlflow?password=lovelace",
    ],
)
def test_a_password_in_the_address_is_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(AsdError, match="holds a password") as caught:
        absolute_uri(uri)
    assert "lovelace" not in str(caught.value)


@pytest.mark.parametrize(("name", "value"), [("timeout", 0), ("retries", -1), ("retries", 0.5)])
def test_patience_must_be_a_whole_number(name: str, value: float) -> None:
    with pytest.raises(AsdError, match=rf"tracking\.{name}={value}"):
        tracker(**{name: value})


CONFIG = {
    "system": "B",
    "seed": 3,
    "paths": {"data": "/d"},
    "identity": {"exclude": ["paths", "trainer.threads"]},
    "scale": {"name": "tiny", "filters": [4], "window_seconds": 1.0, "max_epochs": 2},
    "model": {"_target_": "asd.models.dense.Dense", "filters": [4], "embedding": 16},
    "window": {"seconds": 1.0},
    "trainer": {"max_epochs": 5, "threads": 1},
}


def test_params_are_what_runs_differ_in() -> None:
    command = "python -m asd.train +experiment=b model.embedding=16 paths.data=/d trainer.threads=1"
    delta = {
        "paths.data": "/d", "scale.name": "tiny", "scale.filters": [4], "model.filters": [4],
        "model._target_": "asd.models.dense.Dense", "window.seconds": 1.0, "trainer.max_epochs": 5,
        "seed": 3,
    }  # fmt: skip
    params = run_params(CONFIG, delta, command)
    assert params == {
        "system": "B", "seed": 3, "model.embedding": 16, "scale.name": "tiny", "model": "Dense",
        "trainer.max_epochs": 5,
    }  # fmt: skip
    assert run_name("B seed 3", command, params) == "B seed 3, embedding 16"
