"""The main job as a user runs it, on tiny simulated data."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from asd.experiment.listener import RunListener
from asd.experiment.run_folder import RunFolder

PRESETS = {
    "b": ("B", "mel", "per_machine"),
    "u": ("U", "gammatone", "shared"),
    "u_fd": ("U-FD", "gammatone", "shared"),
    "ss_0.7": ("SS-0.7-0.3", "gammatone", "shared"),
    "ss_0.5": ("SS-0.5-0.5", "gammatone", "shared"),
    "ss_0.3": ("SS-0.3-0.7", "gammatone", "shared"),
    "u_half": ("U-half", "gammatone", "shared"),
    "u_long": ("U-long", "gammatone", "shared"),
    "u_half_long": ("U-half-long", "gammatone", "shared"),
    "ss": ("SS-0.5-0.5", "gammatone", "shared"),
    "u_per_machine": ("U-per-machine", "gammatone", "per_machine"),
    "idnn": ("IDNN", "mel", "per_machine"),
    "adacos": ("AdaCos", "waveform", "shared"),
    "oe_shared": ("OE-shared", "mel_normalised", "shared"),
    "oe": ("OE", "mel_normalised", "per_id"),
}
FULL = ("u_fd", "idnn", "adacos", "oe_shared", "oe")
MACHINES = ["ToyCar", "ToyConveyor", "fan", "pump", "slider", "valve"]
Train = Callable[..., int]


def command(shared_data: list[str], *arguments: str) -> list[str]:
    return [sys.executable, "-m", "asd.train", *shared_data, *arguments]


def only_run(folder: Path) -> RunFolder:
    found = [p for p in (folder / "runs").iterdir() if (p / "run.json").exists()]
    assert len(found) == 1
    return RunFolder(found[0])


def mlflow_run(folder: Path, run: RunFolder):  # type: ignore[no-untyped-def]
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'mlruns' / 'mlflow.db'}")
    return client, client.get_run(run.record()["mlflow"]["run_id"])


@pytest.mark.parametrize("experiment", list(PRESETS))
def test_preset_end_to_end(experiment: str, run_train: Train, tmp_path: Path) -> None:
    system, frontend, scope = PRESETS[experiment]
    drawn = ["pictures=default"] if experiment in ("ss_0.5", "b", "idnn", "adacos") else []
    assert run_train(f"+experiment={experiment}", *drawn) == 0
    folder = only_run(tmp_path)
    record = folder.record()
    assert record["status"] == "FINISHED"
    assert "SIMULATED" in record["title"]
    assert "SIMULATED" in record["data_label"]

    scores = pd.read_csv(folder.scores, dtype={"id": str})
    assert list(scores.columns[:5]) == ["machine", "id", "file", "label", "score"]
    # tiny: two IDs a machine, four normal and four anomalous clips each
    assert scores.groupby("machine").size().to_dict() == dict.fromkeys(MACHINES, 16)
    assert record["clips_scored"] == len(scores)
    assert scores["score"].gt(0).all() or "oe" in experiment  # a logit
    assert (scores["cause"].notna() == scores["label"]).all()
    assert scores["strength"].dropna().between(0.2, 1.0).all()
    assert "SIMULATED" in (folder.tables / "tables.md").read_text()
    assert record["multiply_adds"].keys() == record["parameters"].keys()
    assert all(count > 0 for count in record["multiply_adds"].values())
    if experiment == "idnn":  # 28 windows of four frames, layers of 16
        layers = 512 * 16 + 2 * (3 * 16 * 16 + 16 * 8) + 16 * 128
        assert record["multiply_adds"] == dict.fromkeys(MACHINES, 28 * layers)
    groups = ["shared"] if scope == "shared" else MACHINES
    if scope == "per_id":
        groups = sorted(set(scores["machine"] + "_id_" + scores["id"]))
        assert len(groups) == 12  # two IDs a machine type are tested, a third trains
    assert [m.name for m in folder.models()] == sorted(groups)
    trained = record["convergence"]
    assert list(trained) == groups
    assert {(t["epochs"], t["ended"]) for t in trained.values()} == {(2, "max_epochs")}
    verdict = "Converged" if all(t["converged"] for t in trained.values()) else "NOT CONVERGED ("
    assert verdict in (folder.tables / "tables.md").read_text()

    client, run = mlflow_run(tmp_path, folder)
    assert run.info.status == "FINISHED"
    assert run.info.run_name.startswith(f"{system} seed 0")
    assert run.info.run_name.endswith(", SIMULATED, demo scale (tiny)")
    assert client.get_experiment(run.info.experiment_id).name == "asd SIMULATED"
    tags = run.data.tags
    expected = {
        "system": system, "frontend": frontend, "scope": scope, "simulated": "true", "seed": "0",
        "experiment": "ss_0.5" if experiment == "ss" else experiment, "data": "simulated",
        "release": "full" if experiment in FULL else "first",
    }  # fmt: skip
    assert {name: tags[name] for name in expected} == expected
    assert len(tags["mlflow.source.git.commit"]) >= 7
    assert "SIMULATED" in tags["mlflow.note.content"]
    assert verdict in tags["mlflow.note.content"]
    assert tags["converged"] == str(verdict == "Converged").lower()
    assert run.data.params["scale.name"] == "tiny"
    metrics = run.data.metrics
    for name in ("auc/mean", "pauc/mean", "auc/fan", "pauc/valve", "id_auc/fan/id_00"):
        assert 0 <= metrics[name] <= 1
    last = "" if scope == "shared" else f"/{groups[-1]}"
    assert metrics[f"best_epoch{last}"] == trained[groups[-1]]["best_epoch"]
    assert metrics[f"steps{last}"] == trained[groups[-1]]["steps"]
    assert metrics["wall_seconds"] > 0
    assert metrics["peak_memory_mb"] > 0
    losses = "train/loss" if scope == "shared" else f"val/loss/{groups[-1]}"
    assert len(client.get_metric_history(run.info.run_id, losses)) == 2
    there = {a.path for a in client.list_artifacts(run.info.run_id)}
    assert {"config.yaml", "environment.json", "scores.csv", "tables", "models"} <= there
    checkpoint = client.list_artifacts(run.info.run_id, f"models/{groups[0]}")
    assert f"models/{groups[0]}/model.ckpt" in {a.path for a in checkpoint}
    assert ("pictures" in there) == bool(drawn)
    if drawn:
        pictures = {a.path for a in client.list_artifacts(run.info.run_id, "pictures")}
        assert {"pictures/roc.png", "pictures/scores.png", "pictures/training.png"} <= pictures
    config = yaml.safe_load(folder.config.read_text())
    assert config["scope"]["name"] == scope


@pytest.mark.parametrize("experiment", ["level", "knn", "knn_type"])
def test_baseline_without_a_network_end_to_end(
    experiment: str, run_train: Train, tmp_path: Path, shared_data: list[str]
) -> None:
    import numpy as np
    from sklearn.neighbors import NearestNeighbors
    from sklearn.preprocessing import StandardScaler

    from asd.composition import build
    from asd.data.audio import Recording

    options = [f"+experiment={experiment}", "data.machines=[fan,pump]", "pictures=default"]
    assert run_train(*options) == 0
    folder = only_run(tmp_path)
    scores = pd.read_csv(folder.scores, dtype={"id": str})
    assert list(scores.columns) == ["machine", "id", "file", "label", "score", "cause", "strength"]
    assert folder.record()["convergence"] == {}
    assert not list(folder.path.glob("models/*/*t.ckpt"))  # best.ckpt, last.ckpt
    _, run = mlflow_run(tmp_path, folder)
    assert run.info.status == "FINISHED"
    assert 0 <= run.data.metrics["auc/fan"] <= 1
    assert {p.name for p in folder.path.glob("pictures/*")} == {"roc.png", "scores.png"}

    # The same from the clips themselves. Validation clips are not learnt from.
    data = Path(shared_data[0].split("=")[1])
    root = next(data.glob(f"simulated/*/{scores['file'][0]}")).parents[3]
    config = yaml.safe_load(folder.config.read_text())
    frontend = build(config["frontend"], "frontend")

    def features(file: str) -> np.ndarray:
        wave = Recording.read(root / file, None).signal(16000)
        return frontend.features(wave).astype(np.float64)

    def statistics(files: list[str]) -> np.ndarray:
        parts = [features(file) for file in files]
        return np.array([np.append(part.mean(0), part.std(0)) for part in parts])

    held_out = set(pd.read_csv(folder.models()[0] / "validation.csv")["path"])
    assert held_out
    group = ["machine"] if experiment == "knn_type" else ["machine", "id"]
    for name, clips in scores.groupby(group):
        if experiment == "level":
            power = [np.power(10, features(f) / 10).sum(1).mean() for f in clips["file"]]
            expected = 10 * np.log10(power)
        else:
            pattern = f"normal_id_{name[1] if len(name) > 1 else ''}*.wav"
            known = (root / "development" / name[0] / "train").glob(pattern)
            files = sorted({p.relative_to(root).as_posix() for p in known} - held_out)
            scaler = StandardScaler().fit(bank := statistics(files))
            nearest = NearestNeighbors(n_neighbors=1).fit(scaler.transform(bank))
            queries = scaler.transform(statistics(list(clips["file"])))
            expected = nearest.kneighbors(queries)[0][:, 0]
        np.testing.assert_allclose(clips["score"], expected, rtol=1e-5)

    # Per machine, nearly the same numbers, since other clips are held out. Stopped before it had
    # scored all, it goes on.
    again = [*options, "scope=per_machine", "tracking=off", "paths.runs=each"]
    for _ in range(2):
        assert run_train(*again) == 0
        (each,) = (RunFolder(p.parent) for p in tmp_path.glob("each/*/run.json"))
        apart = pd.read_csv(each.scores, dtype={"id": str})
        np.testing.assert_array_equal(apart["file"], scores["file"])
        assert apart["score"].corr(scores["score"]) > 0.9
        (each.model("pump") / "scores.csv").unlink()
        each.update(status="KILLED")


def test_full_release_trains_on_the_additional_clips_too(run_train: Train, tmp_path: Path) -> None:
    options = ["tracking=off", "data.machines=[fan]", "paths.cache=cache"]
    for experiment, releases in (("u", {"development"}), ("u_fd", {"development", "additional"})):
        assert run_train(f"+experiment={experiment}", *options) == 0
        parts = (tmp_path / "cache").rglob("*-fan-train-*.npy")
        assert {p.name.split("-")[0] for p in parts} == releases


def test_same_seed_same_numbers_and_a_finished_run_is_kept(
    run_train: Train, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_train("+experiment=u", "tracking=off") == 0
    folder = only_run(tmp_path)
    first = folder.scores.read_bytes()
    began = folder.scores.stat().st_mtime_ns
    assert run_train("+experiment=u", "tracking=off") == 0
    assert folder.scores.stat().st_mtime_ns == began
    assert run_train("+experiment=u", "tracking=off", "force=true") == 0
    assert folder.scores.stat().st_mtime_ns != began
    assert folder.scores.read_bytes() == first
    assert len(list((tmp_path / "runs").glob("*~1"))) == 1
    assert run_train("+experiment=u", "tracking=off", "seed=1") == 0
    (other,) = (tmp_path / "runs").glob("*seed1*")
    assert (other / "scores.csv").read_bytes() != first

    held_out = RunFolder(other).model("shared") / "validation.csv"
    assert run_train("+experiment=u", "tracking=off", "seed=1", "trainer.validation_seed=0") == 0
    (fixed,) = set((tmp_path / "runs").glob("*seed1*")) - {other}
    same = [RunFolder(path).model("shared") / "validation.csv" for path in (folder.path, fixed)]
    assert same[0].read_bytes() == same[1].read_bytes() != held_out.read_bytes()
    assert (fixed / "scores.csv").read_bytes() not in (first, (other / "scores.csv").read_bytes())


class Crash(RuntimeError):
    pass


@pytest.mark.parametrize("experiment", ["ss_0.5", "b"])
def test_resumed_run_ends_with_the_numbers_of_an_uninterrupted_one(
    experiment: str, run_train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from asd.training.lightning_module import DetectorTraining as Training

    # A plateau rule that fires at once, so that its state matters.
    options = [
        f"+experiment={experiment}", "trainer.max_epochs=7", "data.machines=[fan,pump]",
        "trainer.plateau={factor: 0.5, patience: 1, min_delta: 0}", "trainer.stop_patience=50",
        "trainer.learning_rate=0.05",
    ]  # fmt: skip
    assert run_train(*options, "paths.runs=whole", "tracking=off") == 0
    whole = RunFolder(next(p for p in (tmp_path / "whole").iterdir() if p.is_dir()))

    end = Training.on_validation_epoch_end
    for stop in (2, 5):

        def fail(self: Training, stop: int = stop) -> None:
            end(self)
            if self.current_epoch == stop:
                raise Crash("power cut")

        monkeypatch.setattr(Training, "on_validation_epoch_end", fail)
        assert run_train(*options) != 0
        folder = only_run(tmp_path)
        assert folder.record()["status"] == "FAILED"
        client, run = mlflow_run(tmp_path, folder)
        assert run.info.status == "FAILED"
    monkeypatch.setattr(Training, "on_validation_epoch_end", end)
    assert run_train(*options) == 0

    assert folder.scores.read_bytes() == whole.scores.read_bytes()
    assert folder.record()["convergence"] == whole.record()["convergence"]
    rates: set[float] = set()
    for model in whole.models():
        theirs = pd.read_csv(model / "history.csv").drop(columns="epoch_seconds")
        ours = pd.read_csv(folder.model(model.name) / "history.csv").drop(columns="epoch_seconds")
        pd.testing.assert_frame_equal(ours, theirs, check_exact=True)
        rates.update(theirs["learning_rate"])
    assert len(rates) > 1
    client, again = mlflow_run(tmp_path, folder)
    assert again.info.run_id == run.info.run_id
    assert again.info.status == "FINISHED"
    name = "val/loss" if experiment == "ss_0.5" else "val/loss/pump"
    steps = {m.step for m in client.get_metric_history(again.info.run_id, name)}
    assert steps == set(range(7))


@pytest.mark.parametrize(
    ("sent", "exit_status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["int", "term", "hup"],
)
def test_a_stopped_run_is_killed_in_name_and_says_how_to_go_on(
    sent: signal.Signals, exit_status: int, shared_data: list[str], tmp_path: Path
) -> None:
    options = ["+experiment=u", "trainer.max_epochs=100000", "data.machines=[fan]"]
    process = subprocess.Popen(
        command(shared_data, *options),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if list(tmp_path.glob("runs/*/models/shared/last.ckpt")):
            break
        time.sleep(0.1)
    process.send_signal(sent)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == exit_status, said
    assert "resume with: python -m asd.train" in said
    assert "+experiment=u trainer.max_epochs=100000" in said
    folder = only_run(tmp_path)
    assert folder.record()["status"] == "KILLED"
    _, run = mlflow_run(tmp_path, folder)
    assert run.info.status == "KILLED"
    assert (folder.model("shared") / "last.ckpt").exists()


class Remover(RunListener):
    """Someone who removes run folders that are in use."""

    def epoch_ended(self, model: str, epoch: int, values: object) -> None:
        for record in Path("runs").glob("*/run.json"):
            shutil.rmtree(record.parent)


def test_a_run_folder_removed_in_mid_training_ends_the_run(
    run_train: Train, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = ["+experiment=u", "data.machines=[fan]", "trainer.max_epochs=3"]
    assert run_train(*options, "+listeners.remover._target_=test_train.Remover") == 2
    said = "".join(capfd.readouterr())
    assert "removed while it was trained" in said and "Traceback" not in said
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/mlruns/mlflow.db")
    experiments = [one.experiment_id for one in client.search_experiments()]
    assert [run.info.status for run in client.search_runs(experiments)] == ["FAILED"]


REFUSED = {
    "alpha and beta": (["+experiment=ss_0.5", "loss.beta=0.9"], "loss.beta: no such option"),
    "no corpus": (["+experiment=u", "data=dcase2020", "paths.data=nowhere"], "asd.data.download"),
    "no root": (["+experiment=u", "data=folder"], "data.root"),
    "single class": (["+experiment=ss_0.5", "data.machines=[fan]"], "or loss.classes=id"),
    "single ID": (
        ["+experiment=ss_0.5", "data.machines=[fan]", "data.ids_development=1", "loss.classes=id"],
        "use loss=mse, or more machine IDs",
    ),
    "per machine": (["+experiment=ss_0.5", "scope=per_machine"], "scope=shared"),
    "nothing to combine": (["scoring=combined"], "loss=semi_supervised"),
    "nothing to reconstruct": (["model=none"], "choose scoring=knn or scoring=level"),
    "level of clips of one level": (
        ["+experiment=level", "frontend=mel_normalised"],
        "brings all clips to one level",
    ),
    "no bottleneck": (["+experiment=knn", "scoring.vectors=embedding"], "scoring by embedding"),
    "nothing to reconstruct by": (
        ["loss=adacos"],
        "scoring=knn_embedding",
    ),
    "not trained to reconstruct": (["+experiment=adacos", "loss=mse"], "reconstructs nothing"),
    "a waveform is needed": (
        ["model=spectral_branches", "loss=adacos", "scoring=knn_embedding"],
        "frontend=waveform",
    ),
    "no outliers": (
        [
            "+experiment=oe_shared",
            "data.machines=[fan, valve]",
            "loss.sources=[[fan],[valve]]",
            "release=first",
            "data.ids_development=1",
        ],
        "no outliers",
    ),
    "no outliers to an ID": (
        ["+experiment=oe", "data.machines=[fan]", "release=first", "data.ids_development=1"],
        "the training clips of fan_id_00 are all of one class",
    ),
    "no model of an ID": (
        ["+experiment=oe", "release=first", "data.test=evaluation"],
        "no training clip is of ToyCar/id_05",
    ),
    "IDs not trained": (
        ["+experiment=oe_shared", "release=first", "data.test=evaluation"],
        "need classes or models of their own; use release=full",
    ),
    "betas": (["trainer.adam_beta2=1"], "trainer.adam_beta2=1: must be"),
    "nothing to pool": (["scoring/pooling=std"], "scoring=mse_median, mse_std"),
    "nothing to choose by": (["scoring=mse_by_stationarity"], "use window=tiles"),
    "pooled already": (["scoring=knn", "scoring/pooling=max"], "scoring.pooling: no use with"),
    "no vectors": (
        ["model=none", "scoring=files"],
        "scoring.vectors.folder=None: must be a folder",
    ),
    "nothing to classify": (["+experiment=knn", "loss=semi_supervised"], "use loss=mse"),
    "no such vectors": (
        ["+experiment=knn", "scoring.vectors=no.where"],
        "scoring.vectors=no.where",
    ),
    "no such score": (["scoring.score=nowhere.peak"], "scoring.score=nowhere.peak"),
    "weights": (["trainer.weights=worst"], "trainer.weights=worst: must be one of best, last"),
    "pooling": (["model.filters=[4,4]"], "model.pooling="),
    "filters": (["model.filters=[4,4,many]"], "model.filters=many"),
    "bf16": (["trainer.precision=bf16-mixed", "trainer.accelerator=cpu"], "32-true"),
    "window": (["window.cover=none"], "window.cover=none"),
    "tracking folder": (["tracking.uri=mlruns"], "tracking.uri=mlruns"),
    "folder": (["paths.runs=/dev/null/runs", "tracking=off"], "cannot be locked: Not a directory"),
    "pools too much": (["model.pooling=[[2,100],[2,5],[2,5]]"], "pools 2500 frames into one"),
    "dead server": (["tracking.uri=http://127.0.0.1:9"], "tracking.uri=http://127.0.0.1:9"),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_what_cannot_work_is_refused_by_name(
    case: str,
    run_train: Train,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    options, said = REFUSED[case]
    assert run_train(*options) == 2
    output = "".join(capfd.readouterr())
    assert said in output
    assert "Traceback" not in output
    assert not list(tmp_path.glob("runs/*/models"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["+experiment=ss_0.5", "loss.alpah=1"], "loss.alpah: no such option (did you mean loss.a"),
        (["sead=3"], "sead: no such option (did you mean seed?)"),
        (["+foo=1"], "foo: no such option"),
        (["++features.dtyp=1"], "features.dtyp: no such option (did you mean dtype?)"),
        (["+scale.simulated.rate=1"], "scale.simulated.rate: no such option"),
        (["+model.filter=[8]"], "model.filter: no such option (did you mean filters?)"),
        (["+trainer.epochs=1"], "trainer.epochs: no such option (did you mean max_epochs?)"),
        (["~loss"], "loss: not set, and every run needs it"),
        (["~model.filters"], "model.filters: not set"),
        (["search=5"], "search=5: must be a group of options"),
        (["loss=null"], "a group is chosen by the name of one of its files"),
        (["trainer.plateau=5"], "trainer.plateau=5: must be options, or null"),
        (["search.untrained_loss=x"], "search.untrained_loss=x: must be a number"),
        (["standardise=maybe"], "standardise=maybe: must be one of True, False"),
        (["experiment_name=../x"], "experiment_name=../x: must be a text without a slash"),
        (["system=null"], "system=None: must be a text"),
        (["paths.runs=null"], "paths.runs=None: must be a text"),
        (["model.filters=8"], "model.filters=8: must be a list, as [8, 16, 32]"),
        (["model.kernel=wide"], "model.kernel=wide: must be a number, as 3"),
        (["seed=-1"], "seed=-1: must be a whole number from 0 to 4294967295"),
        (["seed=["], "viable"),
        (["frontend=cqt"], "gammatone"),
        (["+experiment=u", "trainer.batch_size=0"], "trainer.batch_size"),
        (["+experiment=u", "search.objectives=[loss]"], "search.objectives"),
        (["+experiment=u", "pictures.anomalous=-1"], "pictures.anomalous"),
        (["+experiment=u", "tracking.timeout=0"], "tracking.timeout"),
        (["+experiment=nothing"], "ss_0.5"),
        (["-m", "+sweep=nothing"], "paper"),
        (["--help"], "frontend: "),
    ],
)
def test_config_answers_do_not_wait_for_torch(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    code = (
        "import sys, atexit\n"
        "heavy = ('torch', 'mlflow', 'pandas', 'sklearn', 'numba', 'pytorch_lightning')\n"
        "atexit.register(lambda: print('LOADED', [m for m in heavy if m in sys.modules]))\n"
        "from asd.train import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True
    )
    assert said in done.stdout + done.stderr
    assert "LOADED []" in done.stdout
    assert done.returncode == (0 if arguments == ["--help"] else 2)
    assert "Traceback" not in done.stdout + done.stderr


def test_a_network_that_cannot_be_is_refused_before_any_work(
    run_train: Callable[..., int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_train("+experiment=u", f"model.embedding={10**18}") == 2
    assert "error: model: " in "".join(capfd.readouterr())
    assert not (tmp_path / "cache" / "features").exists() and not (tmp_path / "runs").exists()


def test_full_disk_is_said_and_the_run_resumes(shared_data: list[str], tmp_path: Path) -> None:
    options = ["+experiment=u", "data.machines=[fan]", "tracking=off", "trainer.max_epochs=3"]
    limited = (
        "import resource, sys\n"
        "from asd.train import main\n"
        "import asd.training.fit\n"
        "from asd.training.checkpoints import EpochCheckpoints\n"
        "save = EpochCheckpoints.on_train_epoch_end\n"
        "def full(self, trainer, module):\n"
        "    if trainer.current_epoch == 1:\n"
        "        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "    save(self, trainer, module)\n"
        "EpochCheckpoints.on_train_epoch_end = full\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, *shared_data, *options],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2, done.stdout + done.stderr
    assert "resume with: python -m asd.train" in done.stdout
    folder = only_run(tmp_path)
    assert folder.record()["status"] == "FAILED"
    again = subprocess.run(
        command(shared_data, *options), cwd=tmp_path, capture_output=True, text=True
    )
    assert again.returncode == 0, again.stderr
    assert "going on at epoch 2" in again.stderr + again.stdout
    assert folder.record()["status"] == "FINISHED"


def test_damaged_checkpoint_is_named(
    run_train: Train, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = ["+experiment=u", "data.machines=[fan]", "tracking=off"]
    assert run_train(*options) == 0
    folder = only_run(tmp_path)
    for finished in ("scores.csv", "model.ckpt"):
        (folder.model("shared") / finished).unlink()
    folder.update(status="FAILED")
    last = folder.model("shared") / "last.ckpt"
    last.unlink()
    last.write_bytes(b"PK\x03\x04 cut short")
    assert run_train(*options) == 2
    said = "".join(capfd.readouterr())
    assert f"remove {last.parent}, and the same command trains this model again" in said
    assert folder.record()["status"] == "FAILED"


def test_real_recordings(real_audio: Path, run_train: Train, tmp_path: Path) -> None:
    assert (
        run_train(
            "+experiment=u", "data=folder", f"data.root={real_audio / 'mimii_fan'}", "scale=tiny",
            "tracking=off", f"paths.cache={tmp_path / 'cache'}",
        )
        == 0
    )  # fmt: skip
    folder = only_run(tmp_path)
    scores = pd.read_csv(folder.scores)
    assert scores["label"].value_counts().to_dict() == {1: 20, 0: 8}
    assert "SIMULATED" not in folder.record()["title"]


def test_checkpoint_alone_turns_a_wav_into_its_score(
    run_train: Train, tmp_path: Path, shared_data: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    from asd.score import main as score

    data = Path(shared_data[0].split("=")[1])
    both = ["+experiment=ss_0.5", "data.machines=[fan,pump]"]
    cases = (
        (["+experiment=u", "data.machines=[fan]"], []),
        (["+experiment=b", "data.machines=[fan]"], []),
        (["+experiment=u", "data.machines=[fan]", "window=tiles"], []),
        (["+experiment=u", "data.machines=[fan]", "scoring=mse_db"], []),
        ([*both, "scoring=combined"], ["--class", "fan"]),
        (["+experiment=u", "data.machines=[fan]", "scoring=mse_std"], []),
        (
            ["+experiment=b", *both[1:], "scope=shared", "scoring=mse_by_stationarity"],
            ["--class", "fan"],
        ),
        (
            [
                "+experiment=b",
                *both[1:],
                "scope=shared",
                "scoring.per_id=true",
                "trainer.validation_fraction=0.4",
            ],
            ["--class", "fan/00"],
        ),
        (["+experiment=level", "data.machines=[fan]"], []),
        (["+experiment=knn_type", "data.machines=[fan]"], []),
        ([*both, "scoring=knn", "scoring.vectors=embedding"], ["--class", "fan/00"]),
    )
    for number, (options, flags) in enumerate(cases):
        runs = tmp_path / str(number)
        options = [*options, "tracking=off", f"paths.runs={runs}"]
        assert run_train(*options) == 0
        folder = RunFolder(next(p for p in runs.iterdir() if (p / "run.json").exists()))
        scores = pd.read_csv(folder.scores)
        row = scores[scores["machine"] == "fan"].iloc[3]
        moved = tmp_path / "elsewhere.ckpt"
        shutil.copy(folder.models()[0] / "model.ckpt", moved)
        wav = next(p for p in data.glob(f"simulated/*/{row['file']}"))
        capsys.readouterr()
        if flags:
            nameless = str(shutil.copy(wav, tmp_path / "any.wav"))
            assert score([str(moved), nameless]) == 2
            assert "--class NAME, one of fan" in capsys.readouterr().err
        assert score([str(moved), str(wav), *flags]) == 0
        (line,) = re.findall(r".*,scored.*", capsys.readouterr().out)
        assert float(line.split(",")[1]) == pytest.approx(row["score"], rel=1e-5)


def test_score_refuses_what_it_cannot_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from asd.score import main as score

    (tmp_path / "bad.ckpt").write_bytes(b"not a checkpoint")
    (tmp_path / "empty").mkdir()
    assert score([str(tmp_path / "bad.ckpt"), "clip.wav"]) == 2
    assert "bad.ckpt: cannot be read as a checkpoint" in capsys.readouterr().err
    (tmp_path / "clip.wav").touch()
    assert score([str(tmp_path / "clip.wav"), "clip.wav"]) == 2  # its folder is not to be removed
    assert capsys.readouterr().err.endswith("; give a model.ckpt\n")
    assert score([str(tmp_path / "bad.ckpt"), str(tmp_path / "empty")]) == 2
    assert "no sound file" in capsys.readouterr().err


def test_clips_held_out_for_thresholds_do_nothing_else(
    run_train: Train, tmp_path: Path, write_corpus: Callable[..., Path]
) -> None:
    """Model, threshold and tables of a run; with other such clips the same model."""
    import numpy as np
    import soundfile
    import torch

    from asd.models.detector import load_detector

    root = write_corpus(machines=("fan",), train=10, seconds=0.5)
    options = ["+experiment=u", "data=folder", f"data.root={root}", "scale=tiny", "tracking=off",
               "window.seconds=0.5", "trainer.max_epochs=1"]  # fmt: skip

    def learn(name: str, *more: str) -> RunFolder:
        assert run_train(*options, *more, f"paths.runs={name}", f"paths.cache={name}-cache") == 0
        (record,) = (tmp_path / name).glob("*/run.json")
        return RunFolder(record.parent)

    rule = ["calibration.fraction=0.4", "calibration.false_alarms=0.25"]
    run = learn("before", *rule)
    model = run.model("shared")
    clips = pd.read_csv(model / "calibration.csv", dtype={"id": str})
    validation = pd.read_csv(model / "validation.csv")
    assert sorted(clips.groupby("id").size()) == [3, 4]
    assert not set(clips["file"]) & set(validation["path"])
    detector = load_detector(model / "model.ckpt")
    for name, scores in detector.calibration.items():
        own = clips[clips["id"] == name.removeprefix("fan/")]["score"]
        assert scores.tolist() == sorted(own)
    first, second = run.record()["decisions"]
    assert first["threshold"] == detector.calibration["fan/00"][-1]  # ceil(5 x 0.75) of 4, 3 of 3
    assert second["threshold"] == detector.calibration["fan/02"][-1]
    page = (run.tables / "tables.md").read_text()
    assert "At the threshold" in page and "at most 25 % false alarms" in page

    noise = np.random.default_rng(9).standard_normal(8000) * 0.3
    for path in clips["file"]:
        soundfile.write(root / path, noise, 16000)
    other = load_detector(learn("after", *rule).model("shared") / "model.ckpt")
    weights = other.state_dict()
    assert all(torch.equal(tensor, weights[n]) for n, tensor in detector.state_dict().items())
    assert not torch.equal(other.calibration["fan/00"], detector.calibration["fan/00"])
    few = [*options, "calibration.fraction=0.001", "paths.runs=few"]
    assert run_train(*few) == 2
    plain_run = learn("plain")
    assert plain_run.record()["decisions"] == []
    assert load_detector(plain_run.model("shared") / "model.ckpt").calibration == {}


def test_neither_test_nor_validation_clips_can_influence_what_is_learnt(
    run_train: Train, tmp_path: Path, write_corpus: Callable[..., Path]
) -> None:
    import numpy as np
    import soundfile
    import torch

    from asd.models.detector import load_detector

    def learn(name: str, root: Path) -> dict[str, torch.Tensor]:
        options = ["+experiment=u", "data=folder", f"data.root={root}", "scale=tiny",
                   "tracking=off", f"paths.runs={name}", f"paths.cache={name}-cache"]  # fmt: skip
        assert run_train(*options, "window.seconds=0.5", "trainer.max_epochs=1") == 0
        folder = next(p for p in (tmp_path / name).iterdir() if (p / "run.json").exists())
        held_out.update(pd.read_csv(folder / "models" / "shared" / "validation.csv")["path"])
        return load_detector(folder / "models" / "shared" / "model.ckpt").state_dict()

    held_out: set[str] = set()
    root = write_corpus(machines=("fan",), train=6, seconds=0.5)
    before = learn("before", root)
    noise = np.random.default_rng(9).standard_normal(8000) * 0.3
    for path in (root / "fan" / "test").iterdir():
        soundfile.write(path, noise, 16000)
    other_test = learn("other_test", root)
    assert all(torch.equal(before[name], other_test[name]) for name in before)
    for path in held_out:
        soundfile.write(root / path, noise, 16000)
    other_validation = learn("other_validation", root)
    for name in ("standardiser.mean", "standardiser.std"):
        assert torch.equal(before[name], other_validation[name])
    training = next(
        p for p in (root / "fan" / "train").iterdir() if f"fan/train/{p.name}" not in held_out
    )
    soundfile.write(training, noise, 16000)
    other_training = learn("other_training", root)
    assert not torch.equal(before["standardiser.mean"], other_training["standardiser.mean"])


def test_evaluation_release_is_scored_when_asked_for(run_train: Train, tmp_path: Path) -> None:
    options = ["+experiment=u_fd", "data.test=evaluation", "data.machines=[fan]", "tracking=off"]
    assert run_train(*options) == 0
    scores = pd.read_csv(only_run(tmp_path).scores, dtype={"id": str})
    assert set(scores["id"]) == {"01"}
    assert scores["file"].str.startswith("evaluation/fan/test/").all()
    assert set(scores["label"]) == {0, 1}
