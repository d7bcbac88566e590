from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from parts import DENSE, MSE, SS, scoring_of

from asd.data.windows import Windows
from asd.errors import AsdError
from asd.features.part import Features
from asd.models.detector import Detector
from asd.models.standardiser import Standardiser
from asd.options import from_config
from asd.scoring.scorer import ClipSet, ScoredClips, score_clips
from asd.scoring.scoring_options import ScoringOptions

BANDS, LENGTH = 3, 4
MEAN, STD = np.array([-50.0, -49, -51]), np.array([9.0, 3, 1])
FRAMES = np.array([9, 4, 12])
FILES = ["a.wav", "b.wav", "c.wav"]


def detector(loss: dict[str, Any]) -> Detector:
    torch.manual_seed(0)
    recipe = {"bands": BANDS, "frames": LENGTH, "classes": ["fan", "pump"], "model": DENSE,
              "loss": loss}  # fmt: skip
    return Detector(recipe, Standardiser(MEAN, STD)).eval()


def values() -> np.ndarray:
    return np.random.default_rng(3).normal(-50, 9, (int(FRAMES.sum()), BANDS)).astype(np.float32)


def score(
    name: str,
    loss: dict[str, Any],
    classes: list[int],
    features: np.ndarray | None = None,
    batch_frames: int = 8,
    workers: int = 1,
    frames: np.ndarray = FRAMES,
    **more: Any,
) -> ScoredClips:
    clips = pd.DataFrame(
        {"machine": ["fan", "pump", "fan"], "id": "00", "path": FILES, "label": [0, 1, -1]}
    )
    index = Windows(None, LENGTH, "every").starts(LENGTH, frames, FILES)
    options = ScoringOptions(**scoring_of(score=name, batch_frames=batch_frames, **more))
    content = Features(values() if features is None else features, frames)
    numbers = np.array(classes)
    return score_clips(detector(loss), options, ClipSet(clips, content, index, numbers), workers)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("batch_frames", [1, 11, 500])
def test_scores_are_means_over_a_clips_windows_whatever_the_batch(
    batch_frames: int, workers: int
) -> None:
    classes = [0, 1, 0]
    scored = score("combined", SS, classes, batch_frames=batch_frames, workers=workers)
    table, network = scored.table, detector(SS)
    assert scored.embeddings.shape == (int((FRAMES - LENGTH + 1).sum()), 2)
    # clip by clip and window by window, with the network itself
    ends = np.cumsum(FRAMES)
    for clip, (end, count) in enumerate(zip(ends, FRAMES, strict=True)):
        mse, cce, mse_db = [], [], []
        for at in range(end - count, end - LENGTH + 1):
            window = torch.from_numpy(values()[at : at + LENGTH])[None]
            with torch.no_grad():
                reconstruction, embedding = network(window)
                logits = network.classifier(embedding)[0].double()  # type: ignore[misc]
            error = reconstruction[0].numpy() - (window[0].numpy() - MEAN) / STD
            mse.append(np.square(error).mean())
            mse_db.append(np.square(error * STD).mean())
            cce.append(float(-logits.log_softmax(0)[classes[clip]]))
        assert table["mse"][clip] == pytest.approx(np.mean(mse), rel=1e-5)
        assert table["cce"][clip] == pytest.approx(np.mean(cce), rel=1e-5)
        expected = 0.7 * np.mean(mse) + 0.3 * np.mean(cce)
        assert table["score"][clip] == pytest.approx(expected, rel=1e-5)
        decibels = score("mse_db", SS, classes).table
        assert decibels["score"][clip] == pytest.approx(np.mean(mse_db), rel=1e-5)
        assert decibels["mse"][clip] == pytest.approx(table["mse"][clip], rel=1e-6)


def test_scores_of_frames_and_windows_are_pooled_within_their_clip() -> None:
    median = {"_target_": "asd.scoring.pooling.Quantile", "q": 0.5}
    frames = score("frame_mse", MSE, [0, 1, 0], pooling=median, batch_frames=11).table
    windows = score("mse", MSE, [0, 1, 0], pooling=median).table
    network, start = detector(MSE), 0
    for clip, count in enumerate(FRAMES):
        cut = [values()[start + at : start + at + LENGTH] for at in range(count - LENGTH + 1)]
        start += count
        batch = torch.from_numpy(np.stack(cut))
        with torch.no_grad():
            errors = (network(batch)[0] - network.standardiser(batch)).square().numpy()
        assert frames["score"][clip] == pytest.approx(np.median(errors.mean(2)), rel=1e-5)
        assert windows["score"][clip] == pytest.approx(np.median(errors.mean((1, 2))), rel=1e-5)
        assert frames["mse"][clip] == pytest.approx(errors.mean(), rel=1e-5)
    short = values()[: 3 * LENGTH]
    with pytest.raises(AsdError, match=r"each clip has one score, of its only window"):
        score("mse", MSE, [0, 1, 0], short, pooling=median, frames=np.full(3, LENGTH))
    score("frame_mse", MSE, [0, 1, 0], short, pooling=median, frames=np.full(3, LENGTH))


def test_columns() -> None:
    columns = ["machine", "id", "file", "label", "score", "mse"]
    assert list(score("mse", MSE, [0, 1, 0]).table) == columns
    assert list(score("mse", SS, [0, 1, 0]).table) == [*columns, "cce"]


def test_a_class_that_was_not_trained_has_no_cce() -> None:
    table = score("mse", SS, [0, -1, 0]).table
    assert np.isfinite(table["cce"][0])
    assert np.isnan(table["cce"][1])
    with pytest.raises(AsdError, match=r"b\.wav.*not trained on"):
        score("combined", SS, [0, -1, 0])


def test_a_score_that_is_not_finite_is_never_given() -> None:
    bad = values()
    bad[10] = np.inf
    with pytest.raises(AsdError, match=r"b\.wav: its score is not a finite number"):
        score("mse", MSE, [0, 1, 0], bad)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"score": "msed"}, r"scoring\.score=msed: must be one of mse, .* \(did you mean mse"),
        ({"max_fpr": 0}, r"scoring\.max_fpr=0"),
        ({"max_fpr": "low"}, r"scoring\.max_fpr=low: must be a number"),
        ({"batch_frames": 0.5}, r"scoring\.batch_frames=0\.5: must be a whole number"),
        ({"pooling": {"_target_": "asd.scoring.pooling.Quantile", "q": 2}}, r"pooling\.q=2"),
        ({"per_id": 1}, r"scoring\.per_id=1: must be one of True, False"),
        ({"vector": "level"}, r"scoring\.vector: no such option \(did you mean vectors"),
    ],
)
def test_options_that_cannot_be_are_named(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(AsdError, match=message):
        from_config(ScoringOptions, "scoring", scoring_of(**changed))


def test_a_score_of_ones_own_that_is_not_there_is_named() -> None:
    with pytest.raises(AsdError, match=r"scoring\.score=nowhere\.score"):
        score("nowhere.score", MSE, [0, 0, 0])
