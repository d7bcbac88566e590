"""Gaussian back ends, against scikit-learn, SciPy and the formulas written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from parts import DENSE, MSE, fitted_scores, scoring_of
from scipy import stats
from sklearn.covariance import EmpiricalCovariance
from sklearn.mixture import GaussianMixture

from asd.data.windows import Windows
from asd.errors import AsdError
from asd.features.part import Features
from asd.models.detector import Detector
from asd.models.standardiser import Standardiser
from asd.scoring.gaussians import GaussianMixtureModel, Mahalanobis, SelectiveMahalanobis
from asd.scoring.scorer import ClipSet, fit_back_end, score_clips
from asd.scoring.scoring_options import ScoringOptions


def vectors(count: int, seed: int = 0) -> np.ndarray:
    """Two groups, of correlated values of different scales."""
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(count, 3)) @ [[2.0, 1, 0], [0, 1, 0.5], [0, 0, 0.1]]
    return values + np.where(np.arange(count) % 3 == 0, 30, -60)[:, None]


def test_mahalanobis_is_that_of_scikit_learn() -> None:
    bank, clips = vectors(40), vectors(25, seed=1)
    for regularisation in (0.0, 0.3):
        back_end = Mahalanobis(regularisation)
        scores = fitted_scores(back_end, bank, clips)
        reference = EmpiricalCovariance().fit(bank)
        covariance = reference.covariance_ + regularisation * np.eye(3)
        if regularisation == 0:
            np.testing.assert_allclose(scores, reference.mahalanobis(clips), rtol=1e-6)
        apart = clips - bank.mean(0)
        expected = [d @ np.linalg.solve(covariance, d) for d in apart]
        np.testing.assert_allclose(scores, expected, rtol=1e-6)
    with pytest.raises(AsdError, match=r"regularisation=0\.0: the covariance .* raise it"):
        Mahalanobis(0.0).fit(np.ones((9, 3)))


@pytest.mark.parametrize("components", [1, 2])
def test_the_mixture_is_that_of_scikit_learn(components: int) -> None:
    bank, clips = vectors(60), vectors(25, seed=1)
    back_end = GaussianMixtureModel(components, 1e-6, 1e-6, 1000, 0)
    scores = fitted_scores(back_end, bank, clips)
    reference = GaussianMixture(components, tol=1e-6, random_state=0, max_iter=1000).fit(bank)
    np.testing.assert_allclose(scores, -reference.score_samples(clips), rtol=1e-6)
    groups = [np.arange(60) % 3 == 0, np.arange(60) % 3 != 0] if components == 2 else [slice(None)]
    density = 0.0
    for group in groups:  # far apart, so that each is a component
        own = bank[group]
        covariance = np.cov(own, rowvar=False, bias=True) + 1e-6 * np.eye(3)
        of_one = stats.multivariate_normal(own.mean(0), covariance)
        density = density + len(own) / 60 * of_one.pdf(clips)
    np.testing.assert_allclose(scores, -np.log(density), rtol=1e-6)


def test_a_mixture_that_cannot_be_or_has_not_converged_is_refused() -> None:
    with pytest.raises(AsdError, match=r"scoring\.back_end: Expected n_samples >= n_components"):
        GaussianMixtureModel(4, 1e-6, 1e-6, 100, 0).fit(vectors(3))
    with pytest.raises(AsdError, match=r"max_iterations=1: the mixture has not converged"):
        noise = np.random.default_rng(0).normal(size=(60, 3))
        GaussianMixtureModel(3, 1e-9, 1e-6, 1, 0).fit(noise)
    with pytest.raises(AsdError, match=r"scoring\.back_end\.components=0"):
        GaussianMixtureModel(0, 1e-6, 1e-6, 100, 0)


def test_the_selective_score_is_the_mean_over_all_pairs_of_frames(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("asd.scoring.scorer._RESIDUALS_AT_ONCE", 3)
    torch.manual_seed(0)
    recipe = {"bands": 3, "frames": 4, "classes": [], "model": DENSE, "loss": MSE}
    made = Detector(recipe, Standardiser(np.zeros(3), np.array([1.0, 2, 3]))).eval()
    counts = np.full(8, 9)
    values = np.random.default_rng(0).normal(1, 2, (72, 3)).astype(np.float32)
    index = Windows(None, 4, "every").starts(4, counts, [""] * 8)
    names = [f"{n}.wav" for n in range(8)]
    clips = pd.DataFrame({"machine": "fan", "id": "00", "path": names, "label": 0})
    options: dict[str, Any] = {
        "score": None, "vectors": "residual", "bank": "machine",
        "pooling": {"_target_": "asd.scoring.pooling.Moments"},
        "back_end": {"_target_": "asd.scoring.gaussians.SelectiveMahalanobis",
                     "regularisation": 0.0},
    }  # fmt: skip
    scoring = ScoringOptions(**scoring_of(**options))
    given = ClipSet(clips, Features(values, counts), index, np.zeros(8, np.int64))
    fit_back_end(made, scoring, given.part(index.of_clips(np.arange(8) < 5)), given)
    scored = score_clips(made, scoring, given)
    assert scored.embeddings is not None and len(scored.embeddings) == len(index.starts)

    with torch.no_grad():  # as the baseline has it: frame by frame, all pairs of a clip
        windows = torch.stack([torch.from_numpy(values[at : at + 4]) for at in index.starts])
        residuals = (made(windows)[0] - made.standardiser(windows)).double().numpy()
    covariance = np.cov(residuals[index.clips < 5].reshape(-1, 3), rowvar=False, bias=True)
    for clip, score in enumerate(scored.table["score"]):
        delta = residuals[index.clips == clip].reshape(-1, 3)
        assert score == pytest.approx(
            (delta @ np.linalg.inv(covariance) @ delta.T).mean(), rel=1e-5
        )
    with pytest.raises(AsdError, match="needs scoring/pooling=moments"):
        SelectiveMahalanobis(0.0).fit(vectors(9))
