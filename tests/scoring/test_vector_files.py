"""Vectors of the user's own, by file name."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from asd.errors import AsdError
from asd.experiment.run_folder import RunFolder
from asd.score import main as score
from asd.scoring import vector_files
from asd.scoring.vector_files import VectorFiles


def test_files_of_a_folder_are_vectors_of_clips(
    run_train: Callable[..., int],
    write_corpus: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = write_corpus(machines=("fan",), train=8, seconds=1.0)
    own = tmp_path / "vectors"
    generator = np.random.default_rng(0)
    for wav in sorted(root.rglob("*.wav")):
        path = (own / wav.relative_to(root)).with_suffix(".npy")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, generator.normal(size=(5, 3)).astype(np.float32))
    command = ["model=none", "scoring=files", "scoring/pooling=mean_max", "tracking=off",
               "data=folder", f"data.root={root}"]  # fmt: skip
    assert run_train(*command) == 2
    assert "scoring.vectors.folder=None: must be a folder of .npy files" in capsys.readouterr().out
    command.append(f"scoring.vectors.folder={own}")
    assert run_train(*command) == 0
    (run,) = (RunFolder(path.parent) for path in (tmp_path / "runs").glob("*/run.json"))

    held_out = set(pd.read_csv(run.model("shared") / "validation.csv")["path"])

    def vector(path: Path) -> np.ndarray:
        values = np.load(path).astype(float)
        joined = np.append(values.mean(0), values.max(0))
        return joined / np.linalg.norm(joined)

    scores = pd.read_csv(run.scores)
    for row in scores.to_dict("records"):
        clip = Path(row["file"])
        bank = [
            vector(path)
            for path in own.rglob(f"train/*_{clip.stem.split('_', 1)[1][:5]}*.npy")
            if path.relative_to(own).with_suffix(".wav").as_posix() not in held_out
        ]
        here = vector((own / clip).with_suffix(".npy"))
        expected = min(np.linalg.norm(here - one) for one in bank)
        assert row["score"] == pytest.approx(expected, rel=1e-6)

    # Recordings are named to asd.score as they were to the run.
    monkeypatch.chdir(root)
    capsys.readouterr()
    caplog.set_level(logging.WARNING)  # a run logs its progress to standard output
    assert score([str(run.path), *scores["file"]]) == 0
    again = pd.read_csv(io.StringIO(capsys.readouterr().out), nrows=len(scores))
    assert again["score"].tolist() == scores["score"].tolist()
    monkeypatch.chdir(tmp_path)

    # Other content is another run; a clip without a vector, or with another size, is named.
    last = (own / clip).with_suffix(".npy")
    np.save(last, np.ones((5, 4)))
    vector_files._content.cache_clear()
    assert run_train(*command) == 2
    assert "its vector has 6 values, that of other clips 8" in capsys.readouterr().out
    last.unlink()
    vector_files._content.cache_clear()
    assert run_train(*command) == 2
    assert f"{row['file']}: has no vector; scoring.vectors needs" in capsys.readouterr().out


def test_what_is_no_vector_is_named(tmp_path: Path) -> None:
    for content, message in (
        (np.array(["a"]), "cannot be read as an array of numbers"),
        (np.zeros((2, 2, 2)), r"has shape \[2, 2, 2\]; \[size\] or \[n, size\] is needed"),
        (np.zeros(0), r"has shape \[0\]"),
    ):
        np.save(tmp_path / "clip.npy", content)
        with pytest.raises(AsdError, match=rf"clip\.npy: {message}"):
            VectorFiles(str(tmp_path)).of_clip("clip.wav")
    (tmp_path / "clip.npy").write_bytes(b"no array")
    with pytest.raises(AsdError, match=r"clip\.npy: cannot be read as an array"):
        VectorFiles(str(tmp_path)).of_clip("clip.wav")
