from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import sample_clips
from gammatone.filters import make_erb_filters
from gammatone.gtgram import gtgram

from asd.frontends.gammatone import Gammatone

FAST = Gammatone()
EXACT = Gammatone(precision="float64")
CLIPS = sample_clips()


def reference(wave: np.ndarray, frontend: Gammatone) -> np.ndarray:
    """The package's gammatonegram in dB, [frames, bands]."""
    level = gtgram(
        wave.astype(np.float64),
        frontend.rate,
        frontend.window_seconds,
        frontend.hop_seconds,
        frontend.bands,
        frontend.f_min,
        frontend.f_max,
    )
    return 20 * np.log10(level.T + frontend.eps)


@pytest.mark.parametrize("name", CLIPS)
def test_both_precisions_agree_with_the_package(name: str) -> None:
    wave = CLIPS[name]
    expected = reference(wave, EXACT)
    frames = len(expected)

    exact = EXACT.features(wave)
    fast = FAST.features(wave)

    # half a digit of a float32 at -313 dB is 1.5e-5 dB
    np.testing.assert_allclose(exact[:frames], expected, rtol=0, atol=2e-5)
    error = np.abs(fast[:frames] - expected)
    # float32 rounds to a floor: pure tones far away from a band, where nothing else sounds
    heard = expected > expected.max() - 100
    assert error[heard].max() < 0.002
    assert error[heard].mean() < 1e-4


def test_the_transform_of_the_biquads_agrees_in_float64() -> None:
    """An oracle without any recursion: one FFT a clip, the response from the package's biquads."""
    wave, samples = CLIPS["noise"].astype(np.float64), 24000
    length = 2 * samples  # what rings on after the end wraps around into the second half
    z = np.exp(-2j * np.pi * np.arange(length // 2 + 1) / length)
    rows = make_erb_filters(16000, EXACT.centre_frequencies())[:, :, None]
    numerators = [rows[:, 0] + rows[:, zero] * z for zero in (1, 2, 3, 4)]
    response = np.prod(numerators, axis=0) / (1 + rows[:, 7] * z + rows[:, 8] * z**2) ** 4
    filtered = np.fft.irfft(np.fft.rfft(wave, length) * response / rows[:, 9], length)
    windows = np.lib.stride_tricks.sliding_window_view(filtered[:, :samples], 640, axis=1)
    means = np.square(windows[:, ::320]).mean(axis=-1).T
    expected = 20 * np.log10(np.sqrt(means) + EXACT.eps)
    np.testing.assert_allclose(EXACT.levels(wave), expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    "settings",
    [
        {"window_seconds": 0.025, "hop_seconds": 0.01},  # 400 and 160: blocks of 80
        {"window_seconds": 0.02, "hop_seconds": 0.02},
        {"window_seconds": 0.01, "hop_seconds": 0.017},  # hop above window
        {"window_seconds": 0.0401, "hop_seconds": 0.0203},  # 642 and 325: blocks of 1
        {"window_seconds": 0.2, "hop_seconds": 0.01},
        {"bands": 1},
        {"bands": 13, "f_min": 80.0},
        {"bands": 40, "f_min": 50.0, "f_max": 7000.0},
        {"bands": 128, "rate": 48000},
        {"rate": 8000, "f_max": 3500},
    ],
    ids=str,
)
def test_other_settings_agree_too(settings: dict[str, Any]) -> None:
    wave = CLIPS["noise"][:12000]
    fast = Gammatone(repeat_last=False, **settings)
    exact = Gammatone(repeat_last=False, precision="float64", **settings)
    expected = reference(wave, exact)

    assert exact.features(wave).shape == expected.shape
    np.testing.assert_allclose(exact.features(wave), expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(fast.features(wave), expected, rtol=0, atol=0.002)


@pytest.mark.parametrize(("seconds", "computed", "repeated"), [(10, 499, 500), (11, 549, 550)])
def test_number_of_frames(seconds: int, computed: int, repeated: int) -> None:
    wave = np.random.default_rng(0).normal(size=16000 * seconds).astype(np.float32)
    plain = Gammatone(repeat_last=False)

    assert plain.n_frames(len(wave)) == computed
    assert FAST.n_frames(len(wave)) == repeated
    assert plain.features(wave).shape == (computed, 64)
    features = FAST.features(wave)
    assert features.shape == (repeated, 64)
    np.testing.assert_array_equal(features[:computed], plain.features(wave))
    np.testing.assert_array_equal(features[-1], features[-2])


@pytest.mark.parametrize("samples", [640, 641, 959, 960, 961, 1279, 1280])
def test_short_and_odd_lengths(samples: int) -> None:
    wave = CLIPS["noise"][:samples]
    features = FAST.features(wave)
    assert features.shape == (FAST.n_frames(samples), 64)
    expected = reference(wave, FAST)
    np.testing.assert_allclose(features[: len(expected)], expected, rtol=0, atol=0.002)


def test_kernel_compiles_without_a_cache_folder() -> None:
    found = importlib.util.find_spec("asd.frontends.gammatone_kernel")
    assert found is not None and found.origin is not None
    source = Path(found.origin).read_text()
    space: dict[str, Any] = {"__name__": "nowhere"}
    exec(compile(source, "<nowhere>", "exec"), space)  # numba can cache only what has a file

    kernel = space["block_energies"]
    wave = np.r_[CLIPS["noise"][:640], 0].astype(np.float32)
    energies = np.ones((2, 8), np.float32)
    kernel(wave, np.zeros((4, 8), np.float32), np.zeros((2, 8), np.float32), 0, 320, energies)
    # all coefficients 0: the filter passes the clip through
    expected = (wave[:640].reshape(2, 320).astype(np.float64) ** 2).sum(axis=1)
    np.testing.assert_allclose(energies, expected[:, None].repeat(8, axis=1), rtol=1e-5)
