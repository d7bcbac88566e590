"""What is kept of a model while it scores, and the pictures drawn of a run."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from asd import train
from asd.composition import build, compose_config
from asd.data.windows import Index
from asd.errors import AsdError
from asd.experiment.run_folder import RunFolder
from asd.features.part import Features
from asd.models.standardiser import Standardiser
from asd.pictures.run_pictures import KINDS, PictureListener, PictureOptions, run_pictures
from asd.pictures.spectrograms import EXAMPLES, KeptClips, chosen
from asd.scoring.clip_scores import write_scores
from asd.scoring.scorer import ScoredClips


def picture_options(**changes: object) -> PictureOptions:
    return build({**compose_config([]).pictures, **changes}, "pictures")


def frame(labels: list[int], scores: list[float], machine: str = "fan") -> pd.DataFrame:
    files = [f"{i}.wav" for i in range(len(labels))]
    columns = {"machine": machine, "id": "00", "file": files, "label": labels, "score": scores}
    return pd.DataFrame(columns)


def test_the_median_normal_and_the_highest_scores_are_chosen() -> None:
    table = frame([1, 0, 0, 0, 1], [5.0, 1.0, 3.0, 2.0, 9.0])
    assert chosen(table, 2) == [
        ("median normal", 3), ("most anomalous", 4), ("most anomalous", 0),
    ]  # fmt: skip
    assert chosen(frame([-1, -1], [2.0, 1.0]), 0) == [("median", 1)]
    assert chosen(table.iloc[:0], 1) == []


@pytest.mark.parametrize(
    "bad",
    [{"anomalous": -1}, {"anomalous": 1.5}, {"in_sweeps": ["all"]}],
)
def test_options_that_cannot_work_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(AsdError, match=f"pictures.{next(iter(bad))}"):
        picture_options(**bad)


class Ramp(nn.Module):
    """Reconstructs half of what it sees, and more the later in a window."""

    reconstructs, predicts, device = True, slice(None), torch.device("cpu")

    def __init__(self) -> None:
        super().__init__()
        self.standardiser = Standardiser(np.array([1.0, 2.0, 3.0]), np.array([2.0, 1.0, 0.5]))
        self.slope = nn.Parameter(torch.tensor(0.1))

    def forward(self, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        target = self.standardiser(batch)
        return target / 2 + self.slope * torch.arange(batch.shape[1])[:, None], target.mean(1)


class Axes:
    hop_seconds = 0.02

    def centre_frequencies(self) -> list[float]:
        return [100.0, 200.0, 400.0]


@pytest.mark.parametrize("places", [[0], [0, 4, 6], range(7)], ids=["first", "all", "every"])
def test_what_is_kept_is_what_the_network_gives(places: Sequence[int], tmp_path: Path) -> None:
    length, frames, table = 4, 10, frame([0, 0, 1, 1], [1.0, 2.0, 3.0, 9.0])
    values = np.random.default_rng(0).standard_normal((4 * frames, 3)).astype(np.float32)
    starts = (frames * np.arange(4)[:, None] + np.array(places)).ravel()
    index = Index(length, starts, np.repeat(np.arange(4), len(places)))
    detector = Ramp()
    with torch.inference_mode():
        windows = torch.from_numpy(np.stack([values[s : s + length] for s in starts]))
        outputs, bottleneck = detector(windows)
        errors = torch.square(outputs - detector.standardiser(windows))
    listener = PictureListener(picture_options(), Axes(), False)
    features = Features(values, np.full(4, frames))
    listener.clips_scored(ScoredClips(detector, features, index, table, bottleneck))
    listener.model_scored("shared", tmp_path)

    kept = KeptClips.read(tmp_path / EXAMPLES)
    arrays = kept.arrays
    assert (arrays["hop_seconds"], [*arrays["centre_hz"]]) == (0.02, Axes().centre_frequencies())
    assert kept.clips[["role", "score"]].to_numpy().tolist() == [
        ["median normal", 1.0], ["most anomalous", 9.0],
    ]  # fmt: skip
    for number, first in enumerate((0, 3 * frames)):
        names = ("input", "reconstruction", "error")
        shown, decibels, squares = (arrays[f"{name}_{number}"] for name in names)
        for at in range(places[-1] + length):  # a frame, mean over the windows that see it
            seen = [
                (n, first + at - s) for n, s in enumerate(starts) if 0 <= first + at - s < length
            ]
            output, error = (torch.stack([x[at] for at in seen]).mean(0) for x in (outputs, errors))
            np.testing.assert_allclose(squares[at], error, rtol=1e-5)
            output = output * detector.standardiser.std + detector.standardiser.mean
            np.testing.assert_allclose(decibels[at], output, rtol=1e-5)
        np.testing.assert_array_equal(shown, values[first : first + len(shown)])
        assert len(shown) == len(squares) == places[-1] + length


def test_a_run_is_drawn_at_its_end_and_from_its_files_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["+experiment=ss_0.5", "scale=tiny", "data.machines=[fan,valve]", "tracking=off"]
    monkeypatch.setattr(sys, "argv", ["asd.train", *options])
    train.main()
    (run,) = (p.parent for p in tmp_path.glob("runs/*/run.json"))
    at_its_end = {path: path.read_bytes() for path in (run / "pictures").iterdir()}
    assert {path.stem for path in at_its_end} == {*KINDS[:-1], "clips_fan", "clips_valve"}
    shutil.rmtree(run / "pictures")
    run_pictures(run)
    drawn = {path: path.read_bytes() for path in (run / "pictures").iterdir()}
    assert drawn == at_its_end
    for path in drawn:
        with Image.open(path) as image:
            assert min(image.size) > 200
            assert len(image.convert("RGB").getcolors(1 << 24)) > 20


def test_in_sweeps_and_when_a_picture_cannot_be_drawn(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table, folder = frame([0, 1, 0, 1], [1.0, 2.0, 3.0, 4.0]), RunFolder(tmp_path)
    write_scores(folder.scores, table)
    (tmp_path / "pictures").write_text("a file where the folder would be")
    in_sweep = PictureListener(picture_options(in_sweeps=["scores"]), Axes(), True)
    in_sweep.scored(folder, table, None)
    assert ".png: cannot be written: " in caplog.text
    (tmp_path / "pictures").unlink()
    in_sweep.scored(folder, table, None)
    drawn = tmp_path / "pictures" / "scores.png"
    assert list(drawn.parent.iterdir()) == [drawn]
    drawn.write_bytes(b"what is there stays")
    PictureListener(picture_options(), Axes(), False).finished_before(folder)
    assert sorted(p.name for p in drawn.parent.iterdir()) == ["roc.png", "scores.png"]
    assert drawn.read_bytes() == b"what is there stays"


def test_damaged_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / EXAMPLES
    with pytest.raises(AsdError, match="no such file"):
        KeptClips.read(path)
    path.write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(AsdError, match="damaged"):
        KeptClips.read(path)
    np.savez(path, about=np.array("{}"), values=np.ones(2))
    with pytest.raises(AsdError, match="damaged"):
        KeptClips.read(path)
