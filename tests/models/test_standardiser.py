from __future__ import annotations

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler

from asd.features.part import Features
from asd.models.standardiser import Standardiser


def some_features() -> tuple[Features, np.ndarray]:
    draw = np.random.default_rng(0)
    frames = np.array([7, 3, 5, 6])
    values = draw.normal(-60, 12, size=(21, 4)).astype(np.float32)
    values[:, 2] = -120.0
    return Features(values, frames), np.array([True, False, True, True])


def test_equals_scikit_learns_scaler_on_the_training_frames() -> None:
    features, training = some_features()
    rows = np.repeat(training, features.frames)
    reference = StandardScaler().fit(features.values[rows].astype(np.float64))
    ours = Standardiser.fit(features, training)
    np.testing.assert_allclose(ours.mean, reference.mean_, rtol=1e-6)
    np.testing.assert_allclose(ours.std, reference.scale_, rtol=1e-6)
    got = ours(torch.from_numpy(features.values))
    np.testing.assert_allclose(got, reference.transform(features.values), atol=1e-5)


def test_clips_held_out_cannot_influence_it() -> None:
    features, training = some_features()
    before = Standardiser.fit(features, training)
    changed = features.values.copy()
    changed[7:10] = np.nan
    after = Standardiser.fit(Features(changed, features.frames), training)
    assert torch.equal(before.mean, after.mean)
    assert torch.equal(before.std, after.std)


def test_a_constant_band_becomes_zero() -> None:
    features, training = some_features()
    ours = Standardiser.fit(features, training)
    assert ours.std[2] == 1.0
    assert (ours(torch.from_numpy(features.values))[:, 2].abs() < 1e-4).all()


def test_identity_changes_nothing() -> None:
    values = torch.randn(3, 4)
    assert torch.equal(Standardiser.identity(4)(values), values)
