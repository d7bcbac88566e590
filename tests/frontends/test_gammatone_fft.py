from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import sample_clips
from gammatone.fftweight import fft_gtgram

from asd.frontends.gammatone_fft import GammatoneFFT

CLIPS = sample_clips()


def reference(wave: np.ndarray, frontend: GammatoneFFT) -> np.ndarray:
    level = fft_gtgram(
        wave.astype(np.float64),
        frontend.rate,
        frontend.window_seconds,
        frontend.hop_seconds,
        frontend.bands,
        frontend.f_min,
    )
    return 20 * np.log10(level.T + frontend.eps)


@pytest.mark.parametrize("name", CLIPS)
def test_agrees_with_the_package(name: str) -> None:
    frontend = GammatoneFFT()
    expected = reference(CLIPS[name], frontend)
    features = frontend.features(CLIPS[name])
    assert features.shape == expected.shape
    heard = expected > expected.max() - 80  # a float32 transform
    np.testing.assert_allclose(features[heard], expected[heard], rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    "settings",
    [
        {"window_seconds": 0.025, "hop_seconds": 0.01},
        {"window_seconds": 0.0351, "bands": 20, "f_min": 100},
        {"window_seconds": 0.032, "rate": 8000},
    ],
    ids=str,
)
def test_other_settings_agree_too(settings: dict[str, Any]) -> None:
    frontend = GammatoneFFT(**settings)
    expected = reference(CLIPS["noise"], frontend)
    np.testing.assert_allclose(frontend.features(CLIPS["noise"]), expected, rtol=0, atol=1e-3)


def test_the_last_frame_is_not_left_empty() -> None:
    frontend = GammatoneFFT()
    wave = CLIPS["noise"][: 2048 + 5 * 320]
    expected = reference(wave, frontend)
    assert np.all(expected[-1] < -300)  # the package's fault
    features = frontend.features(wave)
    np.testing.assert_allclose(features[:-1], expected[:-1], rtol=0, atol=1e-3)
    longer = reference(CLIPS["noise"][: 2048 + 5 * 320 + 1], frontend)
    np.testing.assert_allclose(features[-1], longer[5], rtol=0, atol=1e-3)
