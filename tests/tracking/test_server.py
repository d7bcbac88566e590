"""The compose file's wiring without containers: PostgreSQL, MLflow with passwords, a training.

The server is started by the very command and settings of docker-compose.yml, but for addresses and
the store: a folder instead of S3.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from postgres import PASSWORD as POSTGRES_PASSWORD
from postgres import Postgres, free_port

from asd.errors import AsdError
from asd.experiment.run_folder import RunFolder
from asd.tracking import sync
from asd.tracking.mlflow_listener import MlflowListener
from asd.tracking.mlflow_store import Tracking, connect

ROOT = Path(__file__).resolve().parents[2]
PASSWORDS = {
    "POSTGRES_PASSWORD": POSTGRES_PASSWORD,
    "S3_ACCESS_KEY": "unused",
    "S3_SECRET_KEY": "unused",
    "MLFLOW_USER": "ada",
    "MLFLOW_PASSWORD": "twelve-or-more",
    "MLFLOW_SECRET_KEY": "signs-forms",
}
# One server for all of them, where pytest-xdist is told `--dist loadgroup`.
EPOCHS = 60


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> int:
    """The compose file's user and databases; gives the port."""
    postgres.psql("postgres", "-c", "CREATE DATABASE mlflow")
    postgres.psql("mlflow", "-f", postgres.own(ROOT / "docker/database/auth.sql"))
    return postgres.port


class Server:
    """The compose file's MLflow server, which can be killed and started again."""

    def __init__(self, folder: Path, database: int) -> None:
        service = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["mlflow"]
        self.folder = folder
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.artifacts = folder / "store"
        ours = {
            "database:5432": f"127.0.0.1:{database}",
            "s3://mlflow": str(self.artifacts),
            "--host=0.0.0.0": "--host=127.0.0.1",
            "--port=5000": f"--port={self.port}",
            "--workers=2": "--workers=1",  # starts faster
            "/opt/mlflow": str(folder),
        }

        def local(text: str) -> str:
            for theirs, own in ours.items():
                text = text.replace(theirs, own)
            for name, value in PASSWORDS.items():
                if text.startswith("${" + name + ":?"):
                    return value
            return text

        ini = (ROOT / "docker/mlflow/basic_auth.ini").read_text()
        (folder / "basic_auth.ini").write_text(local(ini))
        program, *rest = [local(word) for word in service["command"]]
        assert program == "mlflow"
        self.command = [sys.executable, "-m", "mlflow", *rest]
        self.environment = {k: local(v) for k, v in service["environment"].items()}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.folder, env={**os.environ, **self.environment},
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.uri}/health"):
                return
            time.sleep(0.2)
        self.kill()
        raise AssertionError((self.folder / "server.log").read_text())

    def kill(self) -> None:
        """As a power cut would: the server and its workers."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@pytest.fixture(scope="module")
def server(database: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("server"), database)
    made.start()
    yield made
    made.kill()


@pytest.fixture
def signed_in(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", PASSWORDS["MLFLOW_USER"])
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORDS["MLFLOW_PASSWORD"])
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return server


def overrides(server: Server) -> list[str]:
    where = [f"tracking.uri={server.uri}", "tracking.experiment=served"]
    return ["+experiment=u", "scale=tiny", "data.machines=[fan]", *where]


def tracker(server: Server) -> Tracking:
    return Tracking.configured(server.uri, "served")


@pytest.mark.parametrize("name", ["ada", None])
def test_a_wrong_password_is_refused_before_anything_is_computed(
    name: str | None, signed_in: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong")
    if name is None:
        monkeypatch.delenv("MLFLOW_TRACKING_USERNAME")
        monkeypatch.delenv("MLFLOW_TRACKING_PASSWORD")
    command = [sys.executable, "-m", "asd.train", *overrides(signed_in)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    output = ended.stdout + ended.stderr
    assert ended.returncode == 2
    assert f"{signed_in.uri}: cannot be used" in output and "not authenticated" in output
    assert "Traceback" not in output
    assert not (tmp_path / "data").exists()
    assert not list(tmp_path.glob("runs/*"))


def test_a_server_killed_in_mid_training_costs_no_epoch_and_no_result(
    signed_in: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    # Two runs lose their server: one ends before it is back, one after.
    (tmp_path / "live").mkdir()
    live = RunFolder(tmp_path / "live")
    live.update(status="RUNNING", title="live", data_label="none", max_fpr=0.1, params={"seed": 0})
    history = live.model("shared") / "history.csv"
    history.parent.mkdir(parents=True)
    history.write_text("epoch,val/loss,epoch_seconds\n0,3.0,1\n")
    listener = MlflowListener(replace(tracker(signed_in), live_every=0))
    listener.started(live, ["shared"])
    listener.epoch_ended("shared", 0, {})
    history.write_text("epoch,val/loss,epoch_seconds\n0,3.0,1\n1,2.0,1\n2,1.0,1\n")

    process = subprocess.Popen(
        [
            sys.executable, "-m", "asd.train", *overrides(signed_in),
            f"trainer.max_epochs={EPOCHS}", "trainer.stop_patience=null", "tracking.live_every=0",
        ],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    rows: list[str] = []
    while len(rows) < 4 and process.poll() is None:
        for path in tmp_path.glob("runs/*/models/shared/history.csv"):
            rows = path.read_text().splitlines()
        time.sleep(0.02)
    signed_in.kill()
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert len(rows) < EPOCHS, "the server was killed too late to tell"
    assert said.count("training goes on") == 1

    (path,) = (tmp_path / "runs").glob("*/run.json")
    folder = RunFolder(path.parent)
    assert f"python -m asd.tracking.sync {folder.path}" in said
    record = folder.record()
    assert (record["status"], record["published"]) == ("FINISHED", False)
    assert folder.scores.exists()
    epochs = (folder.model("shared") / "history.csv").read_text().splitlines()[1:]
    assert len(epochs) == EPOCHS

    with caplog.at_level(logging.WARNING):
        for epoch in (1, 2):
            listener.epoch_ended("shared", epoch, {})
    assert [r.message for r in caplog.records if "training goes on" in r.message] != []
    assert len(caplog.records) == 1
    capfd.readouterr()
    assert sync.main([str(folder.path), "--uri", signed_in.uri]) == 2
    assert "connection refused" in capfd.readouterr().err
    with pytest.raises(AsdError, match="connection refused"):
        connect(tracker(signed_in))

    signed_in.start()
    live.update(status="FINISHED")
    listener.ended(live, "FINISHED")
    assert sync.main([str(folder.path), "--uri", signed_in.uri]) == 0
    assert "completed as FINISHED" in capfd.readouterr().out
    client, _ = connect(tracker(signed_in))
    for one, length in ((live, 3), (folder, EPOCHS)):
        run = client.get_run(one.record()["mlflow"]["run_id"])
        assert run.info.status == "FINISHED"
        logged = client.get_metric_history(run.info.run_id, "val/loss")
        assert sorted(m.step for m in logged) == list(range(length))
        assert one.record()["published"] is True
    assert run.info.artifact_uri.startswith("mlflow-artifacts:")
    contexts = {i.tags[0].value for i in run.inputs.dataset_inputs}
    assert contexts == {"training", "testing"}
    stored = list(signed_in.artifacts.rglob("scores.csv"))
    assert [p.read_bytes() for p in stored] == [folder.scores.read_bytes()]
    assert PASSWORDS["MLFLOW_PASSWORD"] not in folder.config.read_text()
    assert sync.main([str(folder.path), "--uri", signed_in.uri]) == 0
    assert "already complete" in capfd.readouterr().out
