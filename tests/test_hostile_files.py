"""Checkpoints, run folders and databases may come from anyone: nothing in them is run."""

from __future__ import annotations

import copy
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parts import CONV, MSE, scoring_of

from asd.composition import compose_config, plain
from asd.errors import AsdError
from asd.experiment.experiment import Experiment
from asd.experiment.history import read_history
from asd.experiment.identity import flat
from asd.experiment.run_folder import RunFolder
from asd.models.detector import Detector, load_detector, save_detector
from asd.pictures.spectrograms import KeptClips
from asd.reporting.runs import collect
from asd.score import main as score
from asd.scoring.clip_scores import read_scores
from asd.scoring.metrics import evaluate_scores
from asd.scoring.tables import remarks, show

RECIPE: dict[str, Any] = {
    "bands": 8, "frames": 16, "classes": [], "machines": [], "ids": [], "channel": None,
    "model": CONV, "loss": MSE,
    "frontend": {
        "_target_": "asd.frontends.mel.Mel", "rate": 16000, "bands": 8, "n_fft": 256, "hop": 128,
        "f_min": 0.0, "f_max": None, "power": 2.0, "eps": 1e-16, "pad_mode": "reflect",
        "mel_scale": "slaney", "norm": "slaney",
    },
    "window": {"_target_": "asd.data.windows.Windows", "seconds": None, "frames": 16,
               "cover": "first"},
    "scoring": scoring_of(batch_frames=8000), "longest_seconds": 1e9,
}  # fmt: skip


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that anyone may have."""
    path = tmp_path_factory.mktemp("honest") / "model.ckpt"
    save_detector(Detector(RECIPE), path)
    return path


def tampered(honest: Path, path: Path, part: str, content: object) -> Path:
    """The checkpoint with another part in its recipe."""
    content_of = torch.load(honest, weights_only=True)
    recipe = copy.deepcopy(content_of["asd"]["recipe"])
    content_of["asd"]["recipe"] = {**recipe, part: content}
    torch.save(content_of, path)
    return path


def attacks(target: Path) -> dict[str, dict[str, Any]]:
    """Ways by which Hydra would write the file ``target``."""
    file = {"_target_": "pathlib.Path", "_args_": [str(target)]}
    write = {"_target_": "pathlib.Path.write_text", "_args_": [file, "pwned"]}
    return {
        "call": write,
        "load": {"_target_": "joblib.load", "filename": str(target)},
        "import": {"_target_": "evil.Evil"},
        "nested": {"deep": [{"deeper": write}]},
        "partial": {"_partial_": True},
        "not a mapping": {"_target_": ["evil.Evil"]},
    }


@pytest.mark.parametrize("part", ["frontend", "window", "model", "loss"])
@pytest.mark.parametrize("attack", list(attacks(Path())))
def test_a_checkpoint_runs_nothing(
    part: str, attack: str, honest: Path, tmp_path: Path, write_clip: Any,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    target = tmp_path / "written"
    (tmp_path / "evil.py").write_text(f"open({str(target)!r}, 'w')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    clip = write_clip(tmp_path / "clip.wav", seconds=1.0)
    assert score([str(honest), str(clip)]) == 0
    content = attacks(target)[attack]
    if "_target_" not in content:
        content = {**RECIPE[part], **content}
    checkpoint = tampered(honest, tmp_path / "model.ckpt", part, content)
    capsys.readouterr()
    assert score([str(checkpoint), str(clip)]) == 2
    out, err = capsys.readouterr()
    assert "Traceback" not in err and part in err and out == ""
    assert not target.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"score": "os.system"},
        {"score": None, "vectors": "os.system"},
        {"score": None, "vectors": "level", "back_end": {"_target_": "os.system"}},
        {"score": None, "vectors": "level", "back_end": "os.system"},
    ],
)
def test_a_scoring_is_of_known_functions_too(
    changes: dict[str, Any], honest: Path, tmp_path: Path, write_clip: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    clip = write_clip(tmp_path / "clip.wav", seconds=1.0)
    scoring = {**RECIPE["scoring"], **changes}
    checkpoint = tampered(honest, tmp_path / "model.ckpt", "scoring", scoring)
    assert score([str(checkpoint), str(clip)]) == 2
    assert "which is not part of this program" in capsys.readouterr().err


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
    | st.sampled_from(["_target_", "model", "frontend", "asd", "recipe", "bands"]),
    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=9), x, max_size=3),
    max_leaves=8,
)  # fmt: skip
FUZZ = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


LEARNT = ("banks", "scales", "calibration", "profiles", "spectra")


@FUZZ
@given(part=st.sampled_from([*RECIPE, "asd", "state_dict", *LEARNT]), junk=JUNK)
def test_any_checkpoint_is_read_or_refused(
    part: str, junk: Any, honest: Path, tmp_path: Path, write_clip: Any
) -> None:
    clip = write_clip(tmp_path / "clip.wav", seconds=1.0)
    path = tampered(honest, tmp_path / "junk.ckpt", part, junk)
    if part in ("asd", "state_dict"):
        torch.save({**torch.load(honest, weights_only=True), part: junk}, path)
    if part in LEARNT:
        content = torch.load(honest, weights_only=True)
        torch.save({**content, "asd": {**content["asd"], part: junk}}, path)
    assert score([str(path), str(clip)]) in (0, 2)


CONFIG = plain(compose_config(["+experiment=ss_0.5"]))
NAMED = [name for name in flat(CONFIG) if not name.startswith("identity.since.")]  # keys with dots
OPTIONS = sorted([*NAMED, *CONFIG])


@FUZZ
@given(option=st.sampled_from(OPTIONS), junk=JUNK)
def test_any_config_is_accepted_or_refused(option: str, junk: Any) -> None:
    config = copy.deepcopy(CONFIG)
    *parents, last = option.split(".")
    node = config
    for parent in parents:
        node = node[parent]
    node[last] = junk
    try:
        Experiment.of(config, "")
    except AsdError as error:
        assert str(error)


def run_folder(path: Path) -> RunFolder:
    """A finished run's, as small as it can be."""
    folder = RunFolder(path)
    (path / "run.json").unlink(missing_ok=True)
    tags = ("experiment", "system", "data", "scale", "test")
    folder.update(
        status="FINISHED", title="U", data_label="d", max_fpr=0.1, data_hash="x", datasets=[],
        tags={**dict.fromkeys(tags, "x"), "seed": "0", "simulated": "true"},
    )  # fmt: skip
    folder.config.write_text(yaml.safe_dump(CONFIG))
    rows = [f"fan,00,{n}.wav,{n % 2},{n}.5" for n in range(4)]
    folder.scores.write_text("\n".join(["machine,id,file,label,score", *rows, ""]))
    return folder


def test_an_honest_run_folder_is_read(tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    assert len(collect([folder.path]).runs) == 1


@FUZZ
@given(
    file=st.sampled_from(["run.json", "config.yaml", "scores.csv"]), junk=JUNK | st.binary(),
    entry=st.sampled_from(
        ["status", "tags", "mlflow", "datasets", "ended", "command", "max_fpr", "title", "scale",
         "convergence", "warnings", "unseen", "decisions"]
    ),
)  # fmt: skip
def test_any_run_folder_is_read_or_refused(
    file: str, junk: Any, entry: str, tmp_path: Path
) -> None:
    folder = run_folder(tmp_path)
    path = folder.path / file
    if isinstance(junk, bytes):
        path.write_bytes(junk)
    elif file != "scores.csv":
        content = yaml.safe_load(path.read_text())
        path.write_text(yaml.safe_dump({**content, entry: junk}, allow_unicode=True))
        if file == "run.json":
            path.write_text(json.dumps({**content, entry: junk}))
    else:
        path.write_text(f"{path.read_text()}{junk}")
    collection = collect([folder.path])
    assert len(collection.runs) + len(collection.notes) <= 1
    with suppress(AsdError):
        show_run(folder)


def show_run(folder: RunFolder) -> None:
    """What stands in a terminal where a finished run is shown."""
    record = folder.record()
    metrics = evaluate_scores(read_scores(folder.scores), 0.1)
    title = str(record.get("title"))
    show(metrics, title, **remarks(record, folder.path))


@pytest.mark.parametrize(
    "entries",
    [
        {"convergence": {"shared": {"converged": True}}},
        {"convergence": {"shared": "x"}},
        {"convergence": "x"},
        {"warnings": 5},
    ],
)
def test_a_damaged_record_is_said(entries: dict[str, Any], tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({**folder.record(), **entries}))
    with pytest.raises(AsdError) as said:
        show_run(folder)
    assert f"{tmp_path / 'run.json'}: damaged ({next(iter(entries))}" in str(said.value)


def test_a_terminal_obeys_no_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, escape = run_folder(tmp_path), "\x1b]0;gone\x07\u202e\r"
    folder.update(title=f"U {escape}", data_label=escape, warnings=[escape])
    show_run(folder)
    assert score([escape, "x.wav"]) == 2
    out, err = capsys.readouterr()
    assert "U \\x1b]0;gone\\x07" in out and "\\x1b]0;gone" in err
    assert not set(escape) & set("\x1b\x07\u202e\r") & set(out + err)


def test_a_damaged_record_is_said_by_sync(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from asd.tracking.sync import main as sync

    path = tmp_path / "run"
    for entries in (
        {"title": KeyError}, {"max_fpr": KeyError}, {"status": "JUNK"}, {"datasets": ["x"]},
        {"datasets": [{"name": "x"}]}, {"resources": {"x": [1]}}, {"convergence": {"shared": "x"}},
        {"mlflow": {"uri": f"sqlite:///{tmp_path / 'm.db'}"}},
        {"mlflow": {"uri": f"sqlite:///{tmp_path / 'm.db'}", "run_id": 5}},
    ):  # fmt: skip
        path.mkdir(exist_ok=True)
        record = {**run_folder(path).record(), **entries}
        kept = {name: value for name, value in record.items() if value is not KeyError}
        (path / "run.json").write_text(json.dumps(kept))
        assert sync([str(path), "--uri", f"sqlite:///{tmp_path / 'm.db'}"]) == 2, entries
        assert str(path / "run.json") in capsys.readouterr().err, entries


def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    for name, reader in (
        ("scores.csv", read_scores), ("history.csv", read_history), ("x.ckpt", load_detector),
        ("examples.npz", KeptClips.read),
    ):  # fmt: skip
        (tmp_path / name).unlink(missing_ok=True)
        os.mkfifo(tmp_path / name)
        with pytest.raises(AsdError, match="no regular file"):
            reader(tmp_path / name)
    folder.config.unlink()
    os.mkfifo(folder.config)
    assert "no regular file" in collect([tmp_path]).notes[0]


@pytest.mark.parametrize(
    "banks",
    [
        {"all": {"mean": torch.zeros(2), "std": torch.zeros(3), "vectors": torch.zeros(0, 1)}},
        {"all": {"x": torch.zeros(1)}},
        {"all": {"mean": "x", "std": 1, "vectors": None}},
        {5: {}},
    ],
)
def test_a_back_end_of_a_checkpoint_may_be_anything(
    banks: Any, honest: Path, tmp_path: Path, write_clip: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    back_end = {"_target_": "asd.scoring.back_ends.NearestNeighbours", "k": 1,
                "metric": "euclidean", "standardise": True, "density": None}  # fmt: skip
    scoring = {"score": None, "vectors": "level", "bank": "all", "back_end": back_end}
    path = tampered(honest, tmp_path / "x.ckpt", "scoring", {**RECIPE["scoring"], **scoring})
    content = torch.load(path, weights_only=True)
    torch.save({**content, "asd": {**content["asd"], "banks": banks}}, path)
    assert score([str(path), str(write_clip(tmp_path / "clip.wav", seconds=1.0))]) == 2
    assert f"error: {path}: " in capsys.readouterr().err
