"""Each kind of part can be added from outside the package: one file and one config."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

MODULE = '''
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from asd.data.folder import Folder
from asd.experiment.listener import RunListener
from asd.models.heads import Head


@dataclass(frozen=True)
class Levels:
    """A front end: the level of each block of samples, in two bands that are the same."""

    rate: int
    block: int

    name: ClassVar[str] = "levels"
    version: ClassVar[int] = 1
    bands: ClassVar[int] = 2

    @property
    def hop_seconds(self):
        return self.block / self.rate

    def n_frames(self, samples):
        return samples // self.block

    def features(self, wave):
        frames = self.n_frames(len(wave))
        blocks = wave[: frames * self.block].reshape(frames, self.block)
        level = 10 * np.log10(np.square(blocks).mean(1) + 1e-9)
        return np.stack([level, level], axis=1).astype(np.float32)

    def centre_frequencies(self):
        return np.array([100.0, 200.0])


class Linear(torch.nn.Module):
    """A model."""

    def __init__(self, bands, frames, size):
        super().__init__()
        self.embedding_size = size
        self.down = torch.nn.Linear(bands * frames, size)
        self.up = torch.nn.Linear(size, bands * frames)

    def forward(self, features):
        embedding = self.down(features.flatten(1))
        return self.up(embedding).view_as(features), embedding


@dataclass(frozen=True)
class Twice:
    """A loss."""

    weight: float
    classes: ClassVar[None] = None

    def combine(self, mse, cce):
        return self.weight * mse


class Tempered(Head):
    """Logits of a dense layer, divided."""

    def __init__(self, size, classes, temperature):
        super().__init__()
        self.dense, self.temperature = torch.nn.Linear(size, classes), temperature

    def forward(self, embedding, labels=None):
        return self.dense(embedding) / self.temperature


@dataclass(frozen=True)
class Which:
    """An objective without a reconstruction, with a head of its own."""

    temperature: float
    classes: ClassVar[str] = "id"
    reconstructs: ClassVar[bool] = False

    def head(self, size, classes):
        return Tempered(size, len(classes), self.temperature)

    def combine(self, mse, cce):
        assert mse is None
        return cce


def worst_frame(detector, windows):
    """A score."""
    return windows.squares.mean(2).amax(1)


def deltas(frames, windows):
    """A clip vector: from each frame to the next, to be pooled."""
    return frames[1:] - frames[:-1]


@dataclass(frozen=True)
class Power:
    """A pooling: the power mean."""

    power: float

    def __call__(self, values):
        return values.abs().pow(self.power).mean(0).pow(1 / self.power)


@dataclass(frozen=True)
class Gaussian:
    """A back end: squared Mahalanobis distance with equal variances."""

    floor: float

    def fit(self, vectors):
        return {"mean": vectors.mean(0), "variance": np.array([self.floor + vectors.var()])}

    def scores(self, state, vectors):
        return (vectors - state["mean"]).square().sum(1) / state["variance"]


@dataclass(frozen=True)
class OwnFolder(Folder):
    """A corpus."""

    name = "own"


class Diary(RunListener):
    """A listener."""

    def __init__(self, path):
        self.path = Path(path)


def noting(event):
    def note(self, *arguments):
        words = [str(a) for a in arguments if isinstance(a, str | int)]
        with self.path.open("a") as file:
            print(event, *words, file=file)

    return note


for event in (
    "check", "finished_before", "started", "model_started", "epoch_ended", "clips_scored",
    "model_scored", "scored", "ended",
):
    setattr(Diary, event, noting(event))
'''


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Writes the module and a config; gives the option by which Hydra finds it."""
    (tmp_path / "newcomers.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "newcomers", raising=False)

    def add(group: str, name: str, content: dict[str, object]) -> list[str]:
        path = tmp_path / "own_conf" / group / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return [f"hydra.searchpath=[file://{tmp_path / 'own_conf'}]"]

    return add


def only_run(runs: Path) -> Path:
    (folder,) = (p for p in runs.iterdir() if (p / "run.json").exists())
    return folder


COMMON = ["+experiment=u", "data.machines=[fan]", "tracking=off", "trainer.max_epochs=1"]
PARTS: dict[str, tuple[str, dict[str, object], list[str]]] = {
    "front end": (
        "frontend", {"_target_": "newcomers.Levels", "rate": 16000, "block": 400},
        ["model.pooling=[[1,2],[1,2],[1,2]]"],
    ),
    "model": ("model", {"_target_": "newcomers.Linear", "size": 3}, []),
    "loss": ("loss", {"_target_": "newcomers.Twice", "weight": 2.0}, []),
    "objective": (
        "loss", {"_target_": "newcomers.Which", "temperature": 2.0}, ["scoring=knn_embedding"],
    ),
    "score": (
        "scoring", {"defaults": ["mse", "_self_"], "score": "newcomers.worst_frame"}, [],
    ),
    "clip vector and back end": (
        "scoring",
        {
            "defaults": ["mse", "_self_"], "score": None, "vectors": "newcomers.deltas",
            "back_end": {"_target_": "newcomers.Gaussian", "floor": 1e-6}, "bank": "machine",
        },
        ["model=none", "scoring/pooling=max"],
    ),
    "pooling": (
        "scoring/pooling", {"_target_": "newcomers.Power", "power": 3.0},
        ["scoring.score=frame_mse"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("part", list(PARTS))
def test_a_part_from_outside(
    part: str,
    outside: Callable[..., list[str]],
    run_train: Callable[..., int],
    tmp_path: Path,
    shared_data: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    from asd.score import main as score

    group, content, more = PARTS[part]
    where = outside(group, "newcomer", content)
    assert run_train(*COMMON, *where, f"{group}=newcomer", *more) == 0
    folder = only_run(tmp_path / "runs")
    scores = pd.read_csv(folder / "scores.csv")
    assert np.isfinite(scores["score"]).all()
    if part == "score":
        assert (scores["score"] > scores["mse"]).all()
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert "newcomers." in str(config[group.split("/")[0]])
    # and its checkpoint alone scores a new clip
    row = scores.iloc[2]
    wav = next(Path(shared_data[0].split("=")[1]).glob(f"simulated/*/{row['file']}"))
    capsys.readouterr()
    command = [str(folder / "models" / "shared"), str(wav)]
    # A file may not name what it likes; who scores says which class it is.
    own = re.findall(r"newcomers\.\w+", str(content))
    for name in own:
        assert score(command) == 2
        assert f"{name!r}, which is not part of this program" in capsys.readouterr().err
        command += ["--allow", name]
    assert own and score(command) == 0
    (line,) = re.findall(r".*,scored.*", capsys.readouterr().out)
    assert float(line.split(",")[1]) == pytest.approx(row["score"], rel=1e-5)


def test_a_corpus_from_outside(
    outside: Callable[..., list[str]],
    run_train: Callable[..., int],
    tmp_path: Path,
    write_corpus: Callable[..., Path],
) -> None:
    root = write_corpus(machines=("fan",), train=8, seconds=1.0)
    content = {
        "_target_": "newcomers.OwnFolder", "root": str(root), "machines": None, "ids": None,
        "rate": 16000, "channel": None, "on_bad_clip": "error", "cache": "${paths.cache}",
        "test": "development",
    }  # fmt: skip
    where = outside("data", "own", content)
    assert run_train("+experiment=u", "data=own", "tracking=off", *where) == 0
    assert only_run(tmp_path / "runs").name.startswith("u-own-tiny-seed0")


def test_a_listener_from_outside(
    outside: Callable[..., list[str]], run_train: Callable[..., int], tmp_path: Path
) -> None:
    diary = {"_target_": "newcomers.Diary", "path": str(tmp_path / "diary.txt")}
    where = outside("listeners", "diary", {"diary": diary})
    arguments = [*COMMON, *where, "+listeners=diary", "trainer.max_epochs=2"]
    assert run_train(*arguments) == 0
    assert run_train(*arguments) == 0
    assert (tmp_path / "diary.txt").read_text().splitlines() == [
        "check", "started", "model_started shared", "epoch_ended shared 0", "epoch_ended shared 1",
        "clips_scored", "model_scored shared", "scored", "ended FINISHED",
        "check", "finished_before",
    ]  # fmt: skip
    # It cannot change a result, and so is no part of what the run is.
    assert run_train(*COMMON, "trainer.max_epochs=2") == 0
    only_run(tmp_path / "runs")
