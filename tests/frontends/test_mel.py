from __future__ import annotations

from typing import Any

import librosa
import numpy as np
import pytest
from conftest import sample_clips

from asd.frontends.mel import Mel

CLIPS = sample_clips()
SETTINGS: list[dict[str, Any]] = [
    {},
    {"pad_mode": "constant"},
    {"n_fft": 2048, "hop": 300, "bands": 64, "f_min": 50, "f_max": 7000},
    {"mel_scale": "htk", "norm": "none", "bands": 40},
    {"n_fft": 640, "hop": 320, "bands": 64},  # conf/frontend/mel_64.yaml
    {"power": 1.0},
]


def reference(wave: np.ndarray, frontend: Mel) -> np.ndarray:
    level = librosa.feature.melspectrogram(
        y=wave,
        sr=frontend.rate,
        n_fft=frontend.n_fft,
        hop_length=frontend.hop,
        n_mels=frontend.bands,
        power=frontend.power,
        pad_mode=frontend.pad_mode,
        fmin=frontend.f_min,
        fmax=frontend.f_max,
        htk=frontend.mel_scale == "htk",
        norm=None if frontend.norm == "none" else frontend.norm,
    )
    # power 2: 10 log10; power 1: 20 log10
    return 20 / frontend.power * np.log10(level.T + frontend.eps)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_agrees_with_librosa(settings: dict[str, Any]) -> None:
    frontend = Mel(**settings)
    expected = reference(CLIPS["noise"], frontend)
    features = frontend.features(CLIPS["noise"])
    assert features.shape == expected.shape
    np.testing.assert_allclose(features, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", CLIPS)
def test_other_sounds_agree_too(name: str) -> None:
    expected = reference(CLIPS[name].astype(np.float64), Mel())
    heard = expected > expected.max() - 70  # what a float32 transform can tell
    np.testing.assert_allclose(
        Mel().features(CLIPS[name])[heard], expected[heard], rtol=0, atol=1e-2
    )


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_centre_frequencies(settings: dict[str, Any]) -> None:
    frontend = Mel(**settings)
    expected = librosa.mel_frequencies(
        frontend.bands + 2,
        fmin=frontend.f_min,
        fmax=frontend.f_max or frontend.rate / 2,
        htk=frontend.mel_scale == "htk",
    )[1:-1]
    np.testing.assert_allclose(frontend.centre_frequencies(), expected, rtol=1e-9)
