"""From a run to a served model, on both stores, with the programs that a user types."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from exporting import B, write_clips, write_detector
from postgres import PASSWORD, Postgres, free_port

from asd import export, register
from asd.deployment.onnx_runner import OnnxRunner
from asd.experiment.run_folder import RunFolder
from asd.score import main as score
from asd.tracking import sync


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished run's folder with B, and its model exported."""
    root = tmp_path_factory.mktemp("registry")
    folder = RunFolder(root / "runs" / "b-seed0")
    model = folder.model("fan")
    model.mkdir(parents=True)
    write_detector(model / "model.ckpt", B)
    lines = [f"fan,00,{n}.wav,{n % 2},{n}.5" for n in range(8)]
    folder.scores.write_text("\n".join(["machine,id,file,label,score", *lines, ""]))
    folder.update(
        status="FINISHED", title="B", data_label="noise", max_fpr=0.1, tags={}, params={},
        run_name="B", ended=1_700_000_000_000, data_hash="abc", identity="def",
    )  # fmt: skip
    clips = write_clips(root / "clips", number=1)
    assert export.main([str(model), str(model / "model.onnx"), *map(str, clips)]) == 0
    return folder


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def uri(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Of an empty store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    before = mlflow.get_tracking_uri()
    if request.param == "SQLite":
        yield f"sqlite:///{tmp_path / 'mlflow.db'}"
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        postgres.psql("postgres", "-c", "CREATE DATABASE registry")
        yield f"postgresql://mlflow@127.0.0.1:{postgres.port}/registry"
    mlflow.set_tracking_uri(before)


def ask(port: int, **body: Any) -> tuple[int, Any]:
    """Status and answer of a request."""
    data = json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", data, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_from_run_to_server_and_back(
    run: RunFolder, uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(run.path), "name=fan", "alias=champion", f"uri={uri}"]
    assert register.main(words) == 2
    assert "asd.tracking.sync" in capsys.readouterr().err
    assert sync.main([str(run.path), "--uri", uri]) == 0
    for version in "12":
        assert register.main(words) == 0
        said = capsys.readouterr().out
        assert f"models:/fan/{version} is models:/fan@champion" in said

    # A model of asd.recalibrate lies elsewhere than its run.
    again = shutil.copytree(run.path / "models" / "fan", tmp_path / "again")
    words = [str(again), "name=again", f"uri={uri}"]
    assert register.main(words) == 2
    assert "run=ITS_RUN" in capsys.readouterr().err
    assert register.main([*words, f"run={run.path}"]) == 0
    assert capsys.readouterr().out == "models:/again/1\n"

    # Beside the run's metrics, in its experiment; nothing in it is a pickle.
    client = mlflow.MlflowClient(uri)
    own = client.get_run(run.record()["mlflow"]["run_id"])
    found = client.get_model_version_by_alias("fan", "champion")
    logged = client.get_logged_model(found.source.removeprefix("models:/"))
    assert (int(found.version), logged.source_run_id) == (2, own.info.run_id)
    assert logged.experiment_id == own.info.experiment_id
    metrics = {metric.key: metric.value for metric in logged.metrics}
    assert own.data.metrics and metrics == own.data.metrics
    files = mlflow.artifacts.download_artifacts("models:/fan@champion", dst_path=str(tmp_path))
    kinds = {file.suffix for file in Path(files).rglob("*") if file.is_file()}
    assert not kinds & {".pkl", ".pickle"} and {".onnx", ".ckpt"} <= kinds
    needed = (Path(files) / "requirements.txt").read_text().split()
    assert [one.split("==")[0] for one in needed] == ["mlflow", "onnxruntime", "numpy", "soundfile"]

    card = OnnxRunner(next(Path(files).rglob("*.onnx"))).card
    assert (card["data_hash"], card["config_hash"]) == ("abc", "def")

    # asd.score takes it by its name.
    clip = sorted((run.path.parents[1] / "clips").rglob("*.wav"))[0]
    assert score(["models:/fan@champion", str(clip), "--tracking-uri", uri]) == 0

    # Yesterday's is champion again.
    assert register.main(["name=fan", "version=1", "alias=champion", f"uri={uri}"]) == 0
    assert int(client.get_model_version_by_alias("fan", "champion").version) == 1
    assert register.main(["name=fan", "version=7", "alias=champion", f"uri={uri}"]) == 2

    audio = base64.b64encode(clip.read_bytes()).decode()
    row = {"audio": audio, "machine": "fan/00"}
    runner = OnnxRunner(run.path / "models" / "fan" / "model.onnx")
    expected = [runner.score(runner.read(clip), "fan/00")]
    if not uri.startswith("sqlite"):  # a server is slow to start: of one store
        loaded = mlflow.pyfunc.load_model("models:/fan@champion")
        assert loaded.predict(pd.DataFrame([row])) == expected
        return
    port, log = free_port(), tmp_path / "served.txt"
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/fan@champion",
               "--env-manager", "local", "-p", str(port)]  # fmt: skip
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # MLflow calls uvicorn
    environment = {**os.environ, "MLFLOW_TRACKING_URI": uri, "PATH": path}
    with log.open("w") as said:
        server = subprocess.Popen(
            command, env=environment, stdout=said, stderr=said, start_new_session=True
        )
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5)
                break
            except OSError:
                assert server.poll() is None, log.read_text()
                time.sleep(0.2)
        status, answer = ask(port, dataframe_records=[row])
        assert status == 200, answer
        assert answer["predictions"] == expected
        for bad in (
            {"audio": "no base64", "machine": "fan/00"},
            {"audio": base64.b64encode(b"no sound").decode(), "machine": "fan/00"},
            {"audio": audio, "machine": "valve/00"},
            {"audio": audio},  # of several machines
            {"sound": audio},
            {"audio": 7},
        ):
            status, answer = ask(port, dataframe_records=[row, bad])
            assert status == 400, (bad, answer)
            assert "machine nan" not in answer  # what pandas makes of none
        assert ask(port, nothing=1)[0] == 400
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def test_another_models_file_is_refused(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = RunFolder(tmp_path / "other")
    other.model("fan").mkdir(parents=True)
    write_detector(other.model("fan") / "model.ckpt", B, clips=3)
    assert register.main([str(other.path), "name=fan"]) == 2
    assert "python -m asd.export" in capsys.readouterr().err
    file = run.path / "models" / "fan" / "model.onnx"
    assert register.main([str(other.path), "name=fan", f"onnx={file}"]) == 2
    assert "made of another model" in capsys.readouterr().err
    assert register.main([str(other.path), "alias=champion"]) == 2
    assert register.main([str(other.path), "nam=fan"]) == 2
    assert "did you mean name" in capsys.readouterr().err
