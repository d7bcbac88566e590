"""MLflow runs of run folders on the embedded database; the folders are written by hand."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from asd.composition import command_of, compose_config, plain
from asd.errors import AsdError
from asd.experiment.experiment import Experiment
from asd.experiment.run_folder import RunFolder
from asd.tracking import sync
from asd.tracking.mlflow_listener import MlflowListener
from asd.tracking.mlflow_store import Tracking, connect

EPOCHS = 4


MACHINES = ["fan", *(f"machine{i}" for i in range(60))]
PARAMS = {"system": "U", "seed": 0, "data.machines": MACHINES, "huge": "x" * 10_000}


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables, which take seconds to make."""
    database = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    connect(tracker(uri=f"sqlite:///{database}", experiment="other"))
    return database


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_database: Path) -> RunFolder:
    """A finished run's folder, as training without a tracker leaves it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlruns").mkdir()
    shutil.copy(empty_database, tmp_path / "mlruns" / "mlflow.db")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = RunFolder(tmp_path / "runs" / "u-seed0")
    model = folder.model("shared")
    model.mkdir(parents=True)
    rows = [f"{epoch},{9.0 - epoch},0.5" for epoch in range(EPOCHS)]
    (model / "history.csv").write_text("\n".join(["epoch,val/loss,epoch_seconds", *rows, ""]))
    (model / "model.ckpt").write_bytes(b"weights")
    lines = [f"fan,00,{n}.wav,{n % 2},{n}.5" for n in range(8)]
    folder.scores.write_text("\n".join(["machine,id,file,label,score", *lines, ""]))
    (folder.path / "pictures").mkdir()
    (folder.path / "pictures" / "roc.png").write_bytes(b"png")
    folder.config.write_text("seed: 0\n")
    folder.update(
        status="FINISHED", title="U, seed 0, SIMULATED", data_label="SIMULATED", max_fpr=0.1,
        run_name="U seed 0", tags={"system": "U"}, params=PARAMS,
        resources={"wall_seconds": 12.5}, ended=1_700_000_000_000, mlflow_experiment="mine",
        datasets=[
            {"name": context, "digest": f"of {context}", "context": context,
             "source": {"corpus": "simulated"}, "profile": {"clips": 6}}
            for context in ("training", "testing")
        ],
    )  # fmt: skip
    return folder


OPTIONS = {
    "enabled": True, "uri": "sqlite:///mlruns/mlflow.db", "experiment": "mine",
    "timeout": 10, "retries": 1, "live_every": 0,
}  # fmt: skip


def tracker(**more: Any) -> Tracking:
    return Tracking.of({**OPTIONS, **more})


def started(folder: RunFolder, **more: Any) -> tuple[MlflowListener, str]:
    """A listener whose run has begun, and the MLflow run's id."""
    listener = MlflowListener(tracker(**more))
    listener.started(folder, ["shared"])
    return listener, folder.record()["mlflow"]["run_id"]


def synced(folder: RunFolder, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    status = sync.main([str(folder.path), *options])
    out, err = capsys.readouterr()
    assert status == (2 if "error:" in err else 0)
    return out + err


def train(folder: RunFolder, listener: MlflowListener, *epochs: int) -> None:
    """As training does: what it tells is in ``history.csv``, which has no later epoch."""
    for epoch in epochs:
        rows = [f"{e},{9.0 - e},0.5" for e in range(epoch + 1)]
        text = "\n".join(["epoch,val/loss,epoch_seconds", *rows, ""])
        (folder.model("shared") / "history.csv").write_text(text)
        listener.epoch_ended("shared", epoch, {})


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
    whole, huge = json.dumps(MACHINES), "x" * 6000
    assert run.data.params == {"system": "U", "seed": "0", "data.machines": whole, "huge": huge}
    assert run.data.tags["system"] == "U"
    assert "SIMULATED" in run.data.tags["mlflow.note.content"]
    assert run.data.metrics["auc/mean"] == run.data.metrics["id_auc/fan/id_00"] == 0.625
    assert run.data.metrics["wall_seconds"] == 12.5
    assert steps(client, run.info.run_id) == list(range(EPOCHS))
    for place, file in (("pictures", "roc.png"), ("models/shared", "model.ckpt")):
        there = {a.path for a in client.list_artifacts(run.info.run_id, place)}
        assert f"{place}/{file}" in there

    by_context = {i.tags[0].value: i.dataset for i in run.inputs.dataset_inputs}
    assert {c: data.digest for c, data in by_context.items()} == {
        "training": "of training", "testing": "of testing",
    }  # fmt: skip
    assert json.loads(by_context["training"].profile) == {"clips": 6}
    tags = client.get_experiment(experiment).tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"

    assert "already complete" in synced(folder, capsys)
    folder.update(published=False)
    assert "completed as FINISHED" in synced(folder, capsys)
    (again,) = client.search_runs([experiment])
    assert again.data.metrics == run.data.metrics
    assert len(client.get_metric_history(run.info.run_id, "auc/mean")) == 1
    assert steps(client, run.info.run_id) == list(range(EPOCHS))

    client.delete_run(run.info.run_id)  # in MLflow: it is made anew
    synced(folder, capsys)
    (new,) = client.search_runs([experiment])
    assert new.info.run_id == folder.record()["mlflow"]["run_id"] != run.info.run_id


def test_epochs_that_the_tracker_missed_are_filled_in(folder: RunFolder) -> None:
    whole = (folder.model("shared") / "history.csv").read_text()
    listener, run_id = started(folder)
    train(folder, listener, 1)
    client, _ = connect(tracker())
    before = {m.step: m.timestamp for m in client.get_metric_history(run_id, "val/loss")}
    assert sorted(before) == [0, 1]
    (folder.model("shared") / "history.csv").write_text(whole)
    listener.ended(folder, "FINISHED")
    assert client.get_run(run_id).data.metrics["auc/mean"] == 0.625
    after = {m.step: m.timestamp for m in client.get_metric_history(run_id, "val/loss")}
    assert sorted(after) == list(range(EPOCHS))
    assert {s: after[s] for s in before} == before
    # Of half a second each.
    assert after[3] - after[2] == before[1] - before[0] == pytest.approx(500, abs=2)
    assert folder.record()["published"] is True


def test_a_run_whose_process_was_killed_becomes_failed(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    _, run_id = started(folder)
    folder.update(status="RUNNING")
    with folder.lock():
        assert "being trained by another process" in synced(folder, capsys)
    client, _ = connect(tracker())
    assert client.get_run(run_id).info.status == "RUNNING"
    assert "completed as FAILED" in synced(folder, capsys)
    assert client.get_run(run_id).info.status == "FAILED"
    assert folder.record()["status"] == "FAILED"


def test_a_finished_run_is_completed_and_nothing_is_done_twice(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    listener, run_id = started(folder)
    client, _ = connect(tracker())
    listener = MlflowListener(tracker())
    listener.finished_before(folder)  # killed after its end, before it was published
    assert "completed as FINISHED" in caplog.text
    assert client.get_run(run_id).info.status == "FINISHED"
    folder.update(tags={"system": "U", "trial": "7"})
    listener.finished_before(folder)
    assert client.get_run(run_id).data.tags["trial"] == "7"
    caplog.clear()
    monkeypatch.setattr("asd.tracking.mlflow_listener.complete", None)
    listener.finished_before(folder)
    assert caplog.text == ""


def test_a_tag_that_the_record_no_longer_has_goes_and_those_of_users_stay(
    folder: RunFolder,
) -> None:
    folder.update(tags={"system": "U", "pruned": "pruned after epoch 2"})
    listener, run_id = started(folder)
    client, _ = connect(tracker())
    client.set_tag(run_id, "favourite", "yes")
    folder.update(status="KILLED")
    listener.ended(folder, "KILLED")
    assert client.get_run(run_id).info.status == "KILLED"
    folder.update(tags={"system": "U", "trial": "7"})
    _, again = started(folder)
    tags = client.get_run(again).data.tags
    assert again == run_id
    assert "pruned" not in tags and tags["trial"] == "7" and tags["favourite"] == "yes"


def test_a_process_killed_before_it_noted_its_run_leaves_no_orphan(folder: RunFolder) -> None:
    folder.update(mlflow_token="abc")
    client, experiment = connect(tracker())
    orphan = client.create_run(experiment, tags={"token": "abc"}).info.run_id
    _, run_id = started(folder)
    assert run_id == orphan
    assert folder.record()["mlflow_token"] is None
    assert client.get_run(run_id).data.params["system"] == "U"
    assert len(client.search_runs([experiment])) == 1


def test_eight_processes_on_a_fresh_database(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from asd.experiment.run_folder import RunFolder\n"
        "from asd.tracking.mlflow_listener import MlflowListener\n"
        "from asd.tracking.mlflow_store import Tracking\n"
        "folder = RunFolder(Path('runs') / sys.argv[1])\n"
        "folder.path.mkdir(parents=True)\n"
        "about = {'title': 't', 'data_label': 'd', 'max_fpr': 0.1, 'tags': {'seed': sys.argv[1]}}\n"
        "folder.update(status='FINISHED', **about)\n"
        f"listener = MlflowListener(Tracking.of({OPTIONS}))\n"
        "listener.started(folder, ['shared'])\n"
        "folder.model('shared').mkdir(parents=True)\n"
        "(folder.model('shared') / 'history.csv').write_text('epoch,val/loss\\n0,1.0\\n')\n"
        "listener.epoch_ended('shared', 0, {})\n"
        "listener.ended(folder, 'FINISHED')\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(i)], cwd=tmp_path, stderr=subprocess.PIPE)
        for i in range(8)
    ]
    for process in processes:
        _, said = process.communicate(timeout=180)
        assert process.returncode == 0, said.decode()
    client, _ = connect(tracker(uri=f"sqlite:///{tmp_path / 'mlruns' / 'mlflow.db'}"))
    experiments = client.search_experiments(filter_string="name = 'mine'")
    assert len(experiments) == 1
    runs = client.search_runs([experiments[0].experiment_id])
    assert sorted(r.data.tags["seed"] for r in runs) == [str(i) for i in range(8)]
    assert {r.info.status for r in runs} == {"FINISHED"}


def test_what_is_no_run_folder_is_named(
    folder: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "error" in (said := synced(RunFolder(tmp_path), capsys)) and "no run folder" in said
    (tmp_path / "runs" / "search" / "study").mkdir(parents=True)  # sync runs/*/
    said = synced(folder, capsys, str(tmp_path / "runs" / "search"))
    assert "search: no run folder, passed over" in said and "completed as FINISHED" in said
    assert "error" in synced(folder, capsys, str(tmp_path / "runs" / "mistyped"))


AXES = {
    "model.dropout": "0.0", "scale.name": "small", "frontend": "Gammatone", "frontend.bands": "64",
    "loss.alpha": "1.0", "model.embedding": "128", "trainer.learning_rate": "0.001",
    "trainer.batch_size": "4",
}  # fmt: skip


def composed(name: str, *words: str) -> Experiment:
    """A cell of a sweep whose runs are listed under this name."""
    words = ("+experiment=u", f"tracking.experiment={name}", *words)
    return Experiment.of(plain(compose_config(words)), command_of(words))


def test_a_sweep_lists_runs_that_were_finished_elsewhere(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.update(identity="abc", tags={"system": "U", "identity": "abc"})
    synced(folder, capsys)
    client, first = connect(tracker())
    (run,) = client.search_runs([first])
    for _ in range(2):  # the second time there is nothing to do
        sync.list_runs([(composed("paper", "model.dropout=0.0"), folder)])
    assert capsys.readouterr().out.count("1 runs finished elsewhere are copied to paper") == 1
    _, other = connect(tracker(experiment="paper"))
    (copy,) = client.search_runs([other])
    assert copy.data.metrics == run.data.metrics and copy.info.status == "FINISHED"
    assert copy.info.run_name == run.info.run_name
    assert copy.data.params == {**run.data.params, **AXES}
    assert copy.data.tags["copy_of"] == run.info.run_id == folder.record()["mlflow"]["run_id"]
    paths = {a.path for a in client.list_artifacts(copy.info.run_id, "models/shared")}
    assert paths == {"models/shared/history.csv"}  # its weights are not copied

    # In the sweep's own list already: it only gets the sweep's axes.
    sync.list_runs([(composed("mine", "model.dropout=0.0"), folder)])
    (run,) = client.search_runs([first])
    assert run.data.params == copy.data.params

    # Trained with tracking=off: it is the folder's own run from now on.
    record = {**folder.record(), "identity": "d", "tags": {"identity": "d"}}
    del record["mlflow"], record["published"]
    (folder.path / "run.json").write_text(json.dumps(record))
    sync.list_runs([(composed("paper"), folder)])
    names = {r.info.run_id for r in client.search_runs([other])}
    assert folder.record()["mlflow"]["run_id"] in names and len(names) == 2


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("uri", "http://ada:lovelace@server:5000", "tracking.uri: holds a password"),
        ("uri", "postgresql://ada:lovelace@server/mlflow", "tracking.uri: holds a password"),
        ("uri", "postgresql://ada@server/mlflow?password=lovelace", "uri: holds a password"),
        ("uri", "http://lovelace@server:5000", "tracking.uri: holds a password"),
        ("timeout", 0, "tracking.timeout=0"),
        ("retries", -1, "tracking.retries=-1"),
        ("enabled", "yes", "tracking.enabled=yes"),
    ],
)
def test_options_that_cannot_work_are_refused_and_no_password_is_repeated(
    name: str, value: object, message: str
) -> None:
    with pytest.raises(AsdError, match=message) as caught:
        tracker(**{name: value})
    assert "lovelace" not in str(caught.value)


def test_a_value_that_is_refused_is_no_silence(
    folder: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    listener, _ = started(folder)
    folder.model("shared").rename(folder.model("fan#(1)"))
    listener.epoch_ended("fan#(1)", 0, {})
    assert "refuses this: " in caplog.text and "fan#(1)" in caplog.text
    assert "cannot be used" not in caplog.text


@pytest.mark.parametrize("uri", ["mlruns", "sqlite:////proc/none/mlflow.db"])
def test_a_tracker_that_cannot_be_opened_is_named(uri: str) -> None:
    with pytest.raises(AsdError, match=f"tracking.uri={uri}: cannot be used"):
        connect(tracker(uri=uri))


def foreign(database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("create table alembic_version(version_num text)")
        connection.execute("insert into alembic_version values('of another program')")


DAMAGE = {
    "bytes": (lambda path: path.write_bytes(bytes(range(256)) * 20), "file is not a database"),
    "folder": (Path.mkdir, "unable to open database file"),
    "foreign": (foreign, "of another program"),
}


@pytest.mark.parametrize("damage", list(DAMAGE))
def test_a_damaged_database_is_named_with_what_to_do(damage: str, tmp_path: Path) -> None:
    make, said = DAMAGE[damage]
    make(tmp_path / "mlflow.db")
    with pytest.raises(AsdError, match=f"(?s){said}.*move it aside.*asd.tracking.sync"):
        connect(tracker(uri=f"sqlite:///{tmp_path}/mlflow.db"))


def test_a_disk_that_is_full_while_the_database_is_made(tmp_path: Path) -> None:
    code = (
        "import resource\n"
        "from asd.tracking.mlflow_store import Tracking, connect\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        f"connect(Tracking.of({OPTIONS}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert "AsdError: tracking.uri=sqlite:///" in done.stderr and "free some space" in done.stderr
    assert [p.name for p in (tmp_path / "mlruns").iterdir()] == ["mlflow.db.lock"]


def test_who_waits_for_another_process_says_so(
    folder: RunFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = tmp_path / "mlruns" / "mlflow.db"
    holds = threading.Event()

    def hold() -> None:
        with FileLock(f"{database}.lock"):
            holds.set()
            deadline = time.monotonic() + 60
            while "waiting for another process" not in caplog.text and time.monotonic() < deadline:
                time.sleep(0.05)

    thread = threading.Thread(target=hold)
    thread.start()
    holds.wait()
    connect(tracker())
    thread.join()
    assert "waiting for another process" in caplog.text and str(database) in caplog.text


@pytest.fixture
def mute() -> Iterator[socket.socket]:
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.mark.parametrize("scheme", ["http", "postgresql"])
def test_a_server_that_hangs_is_given_up(
    scheme: str, mute: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_REQUEST_MAX_RETRIES", "HTTP_REQUEST_TIMEOUT"):
        monkeypatch.delenv(f"MLFLOW_{name}", raising=False)
    monkeypatch.delenv("PGCONNECT_TIMEOUT", raising=False)
    uri = f"{scheme}://127.0.0.1:{mute.getsockname()[1]}"
    with pytest.raises(AsdError, match=r"cannot be used: .*(timed out|timeout)"):
        connect(tracker(uri=uri, timeout=2, retries=0))


def test_credentials_go_to_no_server_that_only_a_folder_names(
    folder: RunFolder, mute: socket.socket, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "lovelace")
    uri = f"http://127.0.0.1:{mute.getsockname()[1]}"
    folder.update(mlflow={"uri": uri, "run_id": "1", "tags": {}})
    assert f"was logged to {uri}" in synced(folder, capsys)
    MlflowListener(tracker()).finished_before(folder)
    assert "at another address" in caplog.text
    mute.setblocking(False)
    with pytest.raises(BlockingIOError):
        mute.accept()
    assert "completed" in synced(folder, capsys, "--uri", OPTIONS["uri"])


@pytest.mark.parametrize(
    "place", ["http://127.0.0.1:9/x", "mlflow-artifacts://127.0.0.1:9/x", "s3://bucket/x"]
)
def test_files_go_to_no_place_that_only_a_database_names(
    place: str, folder: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    synced(folder, capsys)
    folder.update(published=False)
    database = tmp_path / OPTIONS["uri"].removeprefix("sqlite:///")
    for table, column in (("runs", "artifact_uri"), ("experiments", "artifact_location")):
        with contextlib.closing(sqlite3.connect(database)) as connection, connection:
            connection.execute(f"update {table} set {column} = ?", (place,))
        said = synced(folder, capsys)
        assert f"has the files of its runs at {place}" in said
        assert "choose another tracker" in said


def test_what_links_point_to_is_not_sent(folder: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    secret = tmp_path / "elsewhere" / "model.ckpt"
    secret.write_text("secret")
    (folder.path / "pictures" / "link.png").symlink_to(secret)
    (folder.path / "models" / "link").symlink_to(secret.parent)
    (folder.path / "train.log").symlink_to(secret)
    listener, _ = started(folder)
    listener.ended(folder, "FINISHED")
    sent = [p for p in tmp_path.rglob("artifacts/**/*") if p.is_file()]
    assert {"roc.png", "model.ckpt", "scores.csv"} <= {p.name for p in sent}
    assert not [p for p in sent if p.read_bytes() == b"secret"]


def test_an_epoch_that_was_killed_and_trained_again_stands_once(folder: RunFolder) -> None:
    listener, run_id = started(folder)
    train(folder, listener, 0, 1)
    listener, again = started(folder)  # the second epoch had no checkpoint yet
    train(folder, listener, 1, 2)
    assert again == run_id
    assert steps(connect(tracker())[0], run_id) == [0, 1, 2]
