"""What is kept of a trained model, from a real tiny training, and the pictures drawn of it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from asd.errors import AsdError
from asd.pictures.examples import KINDS, PictureOptions, chosen, thinned
from asd.pictures.listener import PictureListener
from asd.pictures.model_files import EMBEDDINGS, EXAMPLES, read_embeddings, read_examples
from asd.pictures.run_pictures import run_pictures


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


def test_embeddings_are_thinned_evenly_by_machine_and_label() -> None:
    table = pd.concat([frame([0] * 11 + [1] * 2, [0.0] * 13), frame([0], [0.0], "pump")])
    assert thinned(table, 3).tolist() == [0, 5, 10, 11, 12, 13]
    assert thinned(table, 0).tolist() == []


@pytest.mark.parametrize(
    "bad",
    [{"anomalous": -1}, {"embedding_clips": 1.5}, {"projection": "umap"}, {"in_sweeps": ["all"]}],
)
def test_options_that_cannot_work_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(AsdError, match=f"pictures.{next(iter(bad))}"):
        PictureOptions.configured(**bad)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a real run on two simulated machines."""
    from asd import train

    here = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        options = ["+experiment=ss_0.5", "scale=tiny", "data.machines=[fan,valve]", "tracking=off"]
        patch.setattr(sys, "argv", ["asd.train", *options])
        train.main()
    (folder,) = (p for p in (here / "runs").iterdir() if (p / "run.json").exists())
    return folder


@pytest.mark.parametrize(("cover", "in_sweep"), [("first", True), ("all", False), ("every", False)])
def test_a_real_training_is_kept_and_drawn(
    trained: Path, tmp_path: Path, cover: str, in_sweep: bool
) -> None:
    import shutil

    import torch
    import yaml

    from asd.composition import build
    from asd.data.windows import Windows
    from asd.experiment.run_folder import RunFolder
    from asd.features import FeatureStore, parts_of
    from asd.models.detector import load_detector
    from asd.scoring.clip_scores import read_scores
    from asd.scoring.score import ScoredClips, score_clips

    config = yaml.safe_load((trained / "config.yaml").read_text())
    base = trained.parent.parent
    config["data"].pop("test")
    config["data"]["root"] = str(base / config["data"]["root"])
    corpus, frontend = build(config["data"], "data"), build(config["frontend"], "frontend")
    test = corpus.manifest(["development"]).select(split="test")
    store = FeatureStore(base / "cache" / "features", frontend, "float32", None, 1)
    model = load_detector(trained / "models" / "shared" / "best.ckpt")
    options = PictureOptions.configured(anomalous=2, embedding_clips=3)
    listener = PictureListener(options, frontend, False)
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    expected: dict[str, np.ndarray] = {}
    for part in parts_of(test):
        found = store.part(part)
        # Clips longer than the window, so that windows lie side by side and overlap.
        length = int(model.recipe["frames"])
        twice = type(found)(np.repeat(found.values, 2, axis=0), found.frames * 2)
        index = Windows(None, length, cover).starts(length, twice.frames, list(part.clips["path"]))
        scored = score_clips(model, part, twice, index, np.zeros(len(part), int), "mse", 3)
        listener.clips_scored(ScoredClips(model, twice, index, *scored))
        windows = [twice.values[s : s + length] for s in index.starts]
        with torch.inference_mode():
            _, embeddings = model(torch.from_numpy(np.array(windows, np.float32)))
        for number, file in enumerate(part.clips["path"]):
            expected[file] = embeddings[index.clips == number].mean(0).numpy()
    listener.model_scored("shared", run / "models" / "shared")

    kept = read_examples(run / "models" / "shared" / EXAMPLES)
    assert kept.hop_seconds == frontend.hop_seconds
    np.testing.assert_array_equal(kept.centre_hz, frontend.centre_frequencies())
    assert [(c.machine, c.role) for c in kept.clips] == [
        (m, r) for m in ("fan", "valve") for r in ("median normal", *["most anomalous"] * 2)
    ]
    frames = length if cover == "first" else 2 * length
    for clip in kept.clips:
        assert clip.input.shape == clip.reconstruction.shape == clip.error.shape
        assert clip.input.shape == (frames, frontend.bands)
        if cover != "every":  # windows side by side: the map's mean is the score
            assert clip.error.mean() == pytest.approx(clip.score, rel=1e-4)
        if cover == "first":
            std = model.standardiser.std.numpy()
            again = np.square((clip.reconstruction - clip.input) / std)
            np.testing.assert_allclose(again, clip.error, atol=2e-3)
    bottleneck = read_embeddings(run / "models" / "shared" / EMBEDDINGS)
    assert bottleneck.values.shape == (12, model.network.embedding_size)
    for values, file in zip(bottleneck.values, bottleneck.clips["file"], strict=True):
        np.testing.assert_allclose(values, expected[file], rtol=1e-4, atol=1e-5)
    assert bottleneck.clips.groupby(["machine", "label"]).size().tolist() == [3] * 4

    drawn = run_pictures(run, options, out=tmp_path / "pictures")
    names = [*KINDS[:-1], "clips_fan", "clips_valve"]
    assert [p.stem for p in drawn] == names
    shutil.rmtree(run / "pictures")
    folder = RunFolder(run)
    PictureListener(options, frontend, in_sweep).scored(folder, read_scores(folder.scores), None)
    at_the_end = {p.stem for p in (run / "pictures").iterdir()}
    assert at_the_end == set(names[:3] if in_sweep else names)
    for path in drawn:
        if path.stem in at_the_end:
            assert (run / "pictures" / path.name).read_bytes() == path.read_bytes()
        with Image.open(path) as image:
            assert min(image.size) > 200
            assert len(image.convert("RGB").getcolors(1 << 24)) > 20


def test_a_picture_that_cannot_be_drawn_costs_nothing_but_itself(
    trained: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from asd.experiment.run_folder import RunFolder

    table = frame([0, 1, 0, 1], [1.0, 2.0, 3.0, 4.0])
    (tmp_path / "pictures").write_text("a file where the folder would be")
    folder = RunFolder(tmp_path)
    PictureListener(PictureOptions.configured(), None, False).scored(folder, table, None)
    assert "pictures cannot be written there" in caplog.text
    caplog.clear()
    off = PictureListener(PictureOptions.configured(enabled=False), None, False)
    off.clips_scored(None)
    off.model_scored("shared", tmp_path)
    off.scored(folder, table, None)
    assert caplog.text == "" and not (tmp_path / EXAMPLES).exists()


def test_damaged_files_are_named(tmp_path: Path) -> None:
    for read, name in ((read_examples, EXAMPLES), (read_embeddings, EMBEDDINGS)):
        with pytest.raises(AsdError, match="no such file"):
            read(tmp_path / name)
        (tmp_path / name).write_bytes(b"PK\x03\x04 cut short")
        with pytest.raises(AsdError, match="damaged"):
            read(tmp_path / name)
