"""Clip vectors, back ends and banks, against scikit-learn and the formulas written out."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from parts import DENSE, MSE, fitted_scores, options_of, scoring_of
from scipy import stats
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from asd.data.windows import Windows
from asd.errors import AsdError
from asd.features.part import Features
from asd.frontends.mel import Mel
from asd.models.detector import Detector
from asd.models.standardiser import Standardiser
from asd.scoring.back_ends import (
    ByStationarity,
    Interquartile,
    NearestNeighbours,
    bank_names,
    bank_scores,
    choices,
    fit_banks,
)
from asd.scoring.clip_vectors import (
    band_statistics,
    embedding,
    error_statistics,
    level,
    vectors_of_clips,
)
from asd.scoring.pooling import Mean
from asd.scoring.scorer import ClipSet, fit_back_end, score_clips
from asd.scoring.scoring_options import ScoringOptions

KNN = {
    "_target_": "asd.scoring.back_ends.NearestNeighbours",
    "k": 1, "metric": "euclidean", "standardise": True, "density": None,
}  # fmt: skip
CLIPS = pd.DataFrame({"machine": ["fan"] * 4 + ["pump"] * 4, "id": ["00", "00", "02", "02"] * 2})


def vectors(count: int, seed: int = 0) -> np.ndarray:
    """Of very different scales, as bands are, and one value that is always the same."""
    values = np.random.default_rng(seed).normal(-60, [9, 3, 0.1, 40, 1], (count, 5))
    values[:, 4] = -51.3
    return values


@pytest.mark.parametrize("standardise", [True, False])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("k", [1, 3])
def test_nearest_neighbours_are_those_of_scikit_learn(
    k: int, metric: str, standardise: bool
) -> None:
    bank, clips = vectors(40), vectors(25, seed=1)
    clips[0] = bank[7]
    back_end = NearestNeighbours(k, metric, standardise, None)
    scores = fitted_scores(back_end, bank, clips)
    if standardise:
        scaler = StandardScaler().fit(bank[:, :4])  # a constant tells nothing
        bank, clips = scaler.transform(bank[:, :4]), scaler.transform(clips[:, :4])
    reference = NearestNeighbors(n_neighbors=k, metric=metric).fit(bank)
    distances, _ = reference.kneighbors(clips)
    # Its own rounding: it computes distances from scalar products.
    np.testing.assert_allclose(scores, distances.mean(1), rtol=1e-6, atol=1e-6)
    if metric == "euclidean":
        each = np.sqrt(np.square(clips[:, None] - bank[None]).sum(2))
        np.testing.assert_allclose(scores, np.sort(each, 1)[:, :k].mean(1), rtol=1e-9, atol=1e-12)
    if (k, metric) == (1, "euclidean"):
        assert scores[0] == 0
        one_by_one = [fitted_scores(back_end, vectors(40), v[None])[0] for v in vectors(9, 2)]
        assert (fitted_scores(back_end, vectors(40), vectors(9, 2)) == one_by_one).all()


def test_a_distance_is_divided_by_that_of_the_neighbours_own_neighbours() -> None:
    bank, clips = vectors(40)[:, :4], vectors(25, seed=1)[:, :4]
    for metric in ("unit", "euclidean"):
        back_end = NearestNeighbours(1, metric, False, density=4)
        scores = fitted_scores(back_end, bank, clips)
        scaled = [
            v / np.sqrt((v**2).sum(1))[:, None] if metric == "unit" else v for v in (bank, clips)
        ]
        among, _ = NearestNeighbors(n_neighbors=5).fit(scaled[0]).kneighbors(scaled[0])
        apart, which = NearestNeighbors(n_neighbors=40).fit(scaled[0]).kneighbors(scaled[1])
        expected = (apart / among[:, 1:].mean(1)[which]).min(1)
        np.testing.assert_allclose(scores, expected, rtol=1e-6)
    plain = NearestNeighbours(1, "unit", False, None)
    cosine = NearestNeighbours(1, "cosine", False, None)
    squares = np.square(fitted_scores(plain, bank, clips))
    np.testing.assert_allclose(squares / 2, fitted_scores(cosine, bank, clips), rtol=1e-6)
    with pytest.raises(AsdError, match=r"density=4: there are only 4"):
        back_end.fit(bank[:4])
    with pytest.raises(AsdError, match=r"density=4: more training clips than that are the same"):
        back_end.fit(np.concatenate([bank, bank[:1].repeat(4, 0)]))


def test_a_small_bank_is_filled_up_between_near_neighbours() -> None:
    """SMOTE: x + share (x' - x), x' one of the 2 nearest of x, share uniform in [0, 1]."""
    bank, clips = vectors(12)[:, :4], vectors(25, seed=1)[:, :4]
    smote = {"least": 3000, "neighbours": 2, "seed": 7}
    back_end = NearestNeighbours(1, "euclidean", True, None, smote)
    filled = back_end.fit(bank)["vectors"]
    scaled = StandardScaler().fit_transform(bank)
    assert len(filled) == 3000
    np.testing.assert_allclose(filled[:12], scaled, rtol=1e-12)  # its own distances
    near = NearestNeighbors(n_neighbors=2).fit(scaled).kneighbors(return_distance=False)
    ends = np.concatenate([scaled[near[:, 0]], scaled[near[:, 1]]])
    steps, starts = ends - np.tile(scaled, (2, 1)), np.tile(scaled, (2, 1))
    shares = np.einsum("nv,mv->nm", filled[12:], steps) - (starts * steps).sum(1)
    shares /= (steps**2).sum(1)
    lines = starts + shares[:, :, None] * steps
    apart = np.where((shares >= 0) & (shares <= 1), np.abs(lines - filled[12:, None]).max(2), 9)
    assert apart.min(1).max() < 1e-9
    used = apart.argmin(1)
    # Each of the 24 ways as often, 124.5 times; two that are near each other share a line.
    pairs = np.sort([np.arange(24) % 12, near.T.ravel()], axis=0)
    line = np.unique(pairs, axis=1, return_inverse=True)[1].ravel()
    wanted = 124.5 * np.bincount(line)
    assert (np.abs(np.bincount(line[used]) - wanted) < 4 * np.sqrt(wanted)).all()
    share = shares[np.arange(2988), used]  # of a line of two, from either end
    assert stats.kstest(2 * np.minimum(share, 1 - share), "uniform").pvalue > 0.01
    assert (back_end.fit(bank)["vectors"] == filled).all()
    other = NearestNeighbours(1, "euclidean", True, None, {**smote, "seed": 8})
    assert (other.fit(bank)["vectors"][12:] != filled[12:]).any()
    # A bank that has as many stays as it is; nearer never means stranger.
    enough = NearestNeighbours(1, "euclidean", True, None, {**smote, "least": 12})
    plain = NearestNeighbours(1, "euclidean", True, None)
    assert (fitted_scores(enough, bank, clips) == fitted_scores(plain, bank, clips)).all()
    assert (fitted_scores(back_end, bank, clips) <= fitted_scores(plain, bank, clips)).all()
    with pytest.raises(AsdError, match=r"smote=.*: there are only 2 training clips"):
        back_end.fit(bank[:2])
    for wrong in (200, {"least": 5}, {**smote, "seeds": 1}, {**smote, "neighbours": 0}):
        with pytest.raises(AsdError, match=r"scoring\.back_end\.smote(=200: must be null|\.)"):
            NearestNeighbours(1, "unit", False, None, wrong)


def test_each_clip_is_scored_by_its_own_bank(caplog: pytest.LogCaptureFixture) -> None:
    trained, tested = vectors(8), vectors(8, seed=1)
    back_end = NearestNeighbours(**options_of(KNN, standardise=False))
    expected = {"id": [[0, 1], [2, 3], [4, 5], [6, 7]], "machine": [[0, 1, 2, 3], [4, 5, 6, 7]],
                "all": [list(range(8))]}  # fmt: skip
    for bank, groups in expected.items():
        names = bank_names(CLIPS, bank)
        scores = bank_scores(back_end, fit_banks(back_end, trained, names), tested, names)
        for group in groups:
            alone = fitted_scores(back_end, trained[group], tested[group])
            assert (scores[group] == alone).all()
    assert not caplog.messages

    # An ID that never trained, and a recording of which only the type is known.
    banks = fit_banks(back_end, trained, bank_names(CLIPS, "id"))
    for stranger in ("05", ""):
        names = bank_names(CLIPS.assign(id=stranger), "id")
        with caplog.at_level(logging.WARNING):
            scores = bank_scores(back_end, banks, tested, names)
        expected = fitted_scores(back_end, trained[:4], tested[:4])
        np.testing.assert_allclose(scores[:4], expected, rtol=1e-12)
    said = "fan/05 had no training clips: scored by the nearest of ['fan/00', 'fan/02']"
    assert said in caplog.messages
    valves = bank_names(CLIPS.assign(machine="valve", id="00"), "id")
    with pytest.raises(AsdError, match=r"no training clips of valve/00 .* fan/00, fan/02, pump/00"):
        bank_scores(back_end, banks, tested, valves)
    with pytest.raises(AsdError, match=r"fan/00: scoring\.back_end\.k=3: there are only 2"):
        fit_banks(NearestNeighbours(3, "cosine", False, None), trained, bank_names(CLIPS, "id"))


def test_clip_vectors_are_of_the_frames_that_the_windows_cover() -> None:
    counts = np.array([9, 12, 7])
    values = np.random.default_rng(0).normal(-50, 9, (28, 3)).astype(np.float32)
    clips = np.split(values.astype(np.float64), [9, 21])
    embeddings = torch.from_numpy(np.random.default_rng(1).normal(size=(28, 2)))
    for cover, end in (("first", 4), ("all", None), ("every", None)):
        index = Windows(None, 4, cover).starts(4, counts, ["a", "b", "c"])
        seen = [clip[:end] for clip in clips]
        windows = {"embedding": embeddings[: len(index.starts)]}
        given = (Mean(), Features(values, counts), index, windows, ["a", "b", "c"])
        got = vectors_of_clips(band_statistics, *given)
        expected = [np.append([b.mean() for b in c.T], [b.std() for b in c.T]) for c in seen]
        np.testing.assert_allclose(got, expected, rtol=1e-12)
        got = vectors_of_clips(embedding, *given)
        expected = [windows["embedding"].numpy()[index.clips == clip].mean(0) for clip in range(3)]
        np.testing.assert_allclose(got, expected, rtol=1e-12)
    # Validation clips are left out.
    chosen = index.of_clips(np.array([True, False, True]))
    got = vectors_of_clips(band_statistics, Mean(), Features(values, counts), chosen, {}, [])
    assert got[1, 0] == pytest.approx(clips[2][:, 0].mean(), rel=1e-12)


def test_level_is_the_rms_level_in_decibels() -> None:
    settings: dict[str, Any] = {
        "rate": 16000, "bands": 64, "n_fft": 1024, "hop": 512, "f_min": 0.0, "f_max": None,
        "power": 2.0, "eps": 1e-16, "pad_mode": "reflect", "mel_scale": "slaney", "norm": "slaney",
    }  # fmt: skip
    noise = 0.01 * np.random.default_rng(0).standard_normal(32000)
    waves = [noise, 2 * noise, np.append(4 * noise[:16000], noise[16000:])]
    parts = [Mel(**settings).features(wave) for wave in waves]
    counts = np.array([len(p) for p in parts])
    index = Windows(None, int(counts.min()), "first").starts(int(counts.min()), counts, [""] * 3)
    levels = vectors_of_clips(level, Mean(), Features(np.concatenate(parts), counts), index, {}, [])
    rms = np.array([10 * np.log10(np.square(wave).mean()) for wave in waves])
    assert levels.shape == (3, 1)
    np.testing.assert_allclose(levels[1] - levels[0], rms[1] - rms[0], atol=1e-4)
    # Half of it louder: which frames are, and what a band weighs, differ a little.
    np.testing.assert_allclose(levels[2] - levels[0], rms[2] - rms[0], atol=0.3)


def test_the_rule_sees_whether_the_level_moves() -> None:
    generator = np.random.default_rng(0)
    steady = generator.normal(-50, 0.5, (200, 4)).astype(np.float32)
    clicks = steady + 20 * (np.arange(200) % 50 < 5).astype(np.float32)[:, None]
    windows = {"mse": torch.from_numpy(generator.gamma(2, 9, 196).astype(np.float32))}
    rule = ByStationarity(2.0)
    for frames, pooled in ((steady, np.median), (clicks, np.std)):
        vector = error_statistics(torch.from_numpy(frames).double(), windows).numpy()
        level_ = 10 * np.log10((10 ** (frames.astype(float) / 10)).sum(1))
        assert vector[2] == pytest.approx(level_.std(), rel=1e-5)
        scores = fitted_scores(rule, np.stack([vector, vector, vector * 9]), vector[None])
        assert scores[0] == pytest.approx(pooled(windows["mse"].numpy()), rel=1e-6)
    with pytest.raises(AsdError, match=r"each clip has one window"):
        error_statistics(torch.from_numpy(frames), {"mse": torch.ones(1)})
    with pytest.raises(AsdError, match=r"scoring\.back_end\.decibels=-1"):
        ByStationarity(-1)


def test_scores_per_id_are_in_interquartile_ranges() -> None:
    scores = np.random.default_rng(0).gamma(2, 9, (40, 1))
    scale = Interquartile()
    expected = (scores[:, 0] - np.median(scores)) / stats.iqr(scores)
    np.testing.assert_allclose(fitted_scores(scale, scores, scores), expected, rtol=1e-12)
    with pytest.raises(AsdError, match=r"per_id: 1 validation clips, whose scores have no spread"):
        scale.fit(scores[:1])


def detector(model: dict[str, Any]) -> Detector:
    torch.manual_seed(0)
    recipe = {"bands": 3, "frames": 4, "classes": [], "model": model, "loss": MSE}
    return Detector(recipe, Standardiser.identity(3)).eval()


def test_a_back_end_over_a_networks_bottleneck() -> None:
    counts = np.array([9, 12, 7, 8] * 2)
    values = np.random.default_rng(0).normal(0, 2, (int(counts.sum()), 3)).astype(np.float32)
    index = Windows(None, 4, "all").starts(4, counts, [""] * 8)
    clips = CLIPS.assign(path=[f"{n}.wav" for n in range(8)], label=0)
    vectors_ = {"score": None, "vectors": "embedding"}
    options = ScoringOptions(**scoring_of(**vectors_, back_end=KNN, bank="machine"))
    trained, made = np.arange(8) % 4 != 3, detector(DENSE)
    given = ClipSet(clips, Features(values, counts), index, np.zeros(8, np.int64))
    fit_back_end(made, options, given.part(index.of_clips(trained)), given)
    table = score_clips(made, options, given).table
    assert list(table) == ["machine", "id", "file", "label", "score", "mse"]

    with torch.no_grad():  # window by window
        windows = [torch.from_numpy(values[at : at + 4])[None] for at in index.starts]
        bottleneck = np.concatenate([made(window)[1].numpy() for window in windows])
    means = np.array([bottleneck[index.clips == clip].mean(0) for clip in range(8)])
    for type_ in (slice(0, 4), slice(4, 8)):
        own, known = means[type_], trained[type_]
        scaler = StandardScaler().fit(own[known])
        reference = NearestNeighbors(n_neighbors=1).fit(scaler.transform(own[known]))
        distances, _ = reference.kneighbors(scaler.transform(own))
        np.testing.assert_allclose(table["score"][type_], distances[:, 0], rtol=1e-4, atol=1e-5)

    # In interquartile ranges of the validation clips of the ID, which here are all four of a type.
    scaled = ScoringOptions(**scoring_of(**vectors_, back_end=KNN, bank="machine", per_id=True))
    given = given._replace(table=clips.assign(id="00"))
    fit_back_end(made, scaled, given.part(index.of_clips(trained)), given)
    again = score_clips(made, scaled, given).table["score"]
    for own in (slice(0, 4), slice(4, 8)):
        raw = table["score"][own]
        np.testing.assert_allclose(again[own], (raw - raw.median()) / stats.iqr(raw), rtol=1e-6)
    with pytest.raises(AsdError, match=r"scoring\.vectors=embedding: 2 values are no score"):
        plain = ScoringOptions(**scoring_of(**vectors_))
        score_clips(made, plain, given)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"score": "mse"}, r"scoring\.score, scoring\.vectors: one of them must be null"),
        ({"vectors": "band_statistic"}, r"did you mean band_statistics\?"),
        ({"bank": "ids"}, r"scoring\.bank=ids: must be one of id, machine, all"),
        ({"back_end": {**KNN, "k": 0}}, r"scoring\.back_end\.k=0: must be a whole number"),
        ({"back_end": {**KNN, "metric": "l1"}}, r"scoring\.back_end\.metric=l1"),
        ({"back_end": {"_target_": "nowhere.Gaussian"}}, r"scoring\.back_end.*nowhere"),
        ({"score": "mse", "vectors": None}, r"scoring\.back_end: needs scoring\.vectors"),
    ],
)
def test_options_that_cannot_be_are_named(changed: dict[str, Any], message: str) -> None:
    options = scoring_of(score=None, vectors="level", back_end=KNN, bank="id")
    with pytest.raises(AsdError, match=message):
        ScoringOptions(**{**options, **changed})


def test_what_a_rule_chose_is_said() -> None:
    states = {"fan": {"moves": torch.tensor(False)}, "valve": {"moves": torch.tensor(True)}}
    said = ["scoring.back_end chose by its rule: fan median, valve deviation"]
    assert choices(ByStationarity(decibels=2.0), [states]) == said
    assert choices(Interquartile(), [states]) == choices(None, []) == []
