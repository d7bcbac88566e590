"""The primitives do what their docstrings say, measured on the signals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import welch

from asd.data.simulation.clip import factory_background, generator
from asd.data.simulation.impacts import Mode, blows, ring
from asd.data.simulation.machine import Take, rms
from asd.data.simulation.noise import band_noise, shaped_noise, wander
from asd.data.simulation.rotation import (
    TWO_PI,
    harmonics,
    passings,
    shaft_phase,
)

RATE = 16000


def take(seed: int, samples: int) -> Take:
    return Take(samples, RATE, generator(seed))


def test_random_numbers_of_a_key_are_pinned() -> None:
    """The same on every machine: a changed value would change every corpus."""
    first = generator(0, "clip", "a").integers(0, 2**32, 2).tolist()
    assert first == generator(0, "clip", "a").integers(0, 2**32, 2).tolist()
    assert first != generator(1, "clip", "a").integers(0, 2**32, 2).tolist()
    assert generator("ab", "c").integers(2**32) != generator("a", "bc").integers(2**32)
    assert first == [877422047, 2929846915]


@pytest.mark.parametrize("samples", [16000, 16001])
def test_shaped_noise_has_the_spectrum_and_the_level_set(samples: int) -> None:
    hz, db = (250.0, 1000.0, 4000.0), (0.0, -12.0, 6.0)
    noise = np.concatenate([shaped_noise(take(k, samples), hz, db) for k in range(20)])
    assert rms(noise) == pytest.approx(1.0, abs=0.02)
    grid, power = welch(noise, RATE, nperseg=1024)
    measured = 10 * np.log10(power)
    level = {f: measured[np.abs(grid - f) < 60].mean() for f in (250, 1000, 4000, 500)}
    assert level[1000] - level[250] == pytest.approx(-12.0, abs=1.0)
    assert level[4000] - level[250] == pytest.approx(6.0, abs=1.0)
    assert level[500] - level[250] == pytest.approx(-6.0, abs=1.0)
    power = welch(band_noise(take(1, 64000), 1000.0, 2000.0), RATE, nperseg=1024)[1]
    assert power[(grid > 950) & (grid < 2100)].sum() / power.sum() > 0.9


def test_wander_is_slow_and_of_unit_size() -> None:
    slow = np.concatenate([wander(take(k, 32000), 4.0) for k in range(100)])
    assert slow.std() == pytest.approx(np.sqrt(2 / 3), abs=0.05)  # straight lines between knots
    assert np.abs(np.diff(wander(take(1, 32000), 4.0))).max() < 0.01
    gain = wander(take(2, 320000), 4.0, gain_db=3.0)
    assert 1.8 < np.std(20 * np.log10(gain)) < 3.0


def test_harmonics_are_the_sum_of_cosines() -> None:
    phase = shaft_phase(take(3, 20000), 25.0, 0.01, 1.0)
    lines = {1: 0.5 + 0.2j, 4: -0.3j, 5: 1.0 + 0j, 30: 0.1 + 0j}
    plain = sum((line * np.exp(1j * order * phase)).real for order, line in lines.items())
    np.testing.assert_allclose(harmonics(phase, lines), plain, atol=5e-5)
    assert not harmonics(phase, {}).any()
    assert np.array_equal(harmonics(phase, lines | {400: 1.0}), harmonics(phase, lines))


def test_passings_are_where_the_mark_passes() -> None:
    phase = TWO_PI * 10.0 * np.arange(RATE) / RATE  # 10 turns a second
    at = passings(phase, 3.0, 0.5)
    np.testing.assert_allclose(np.diff(at), RATE / 30.0, rtol=1e-6)
    np.testing.assert_allclose(at[0], 0.5 * RATE / 30.0, rtol=1e-6)


def test_blows_add_up() -> None:
    modes = (Mode(1000.0, 0.01, 1.0), Mode(2500.0, 0.004, 0.5))
    assert np.abs(ring(modes, RATE)).max() == pytest.approx(1.0)
    rng = generator(4)
    at, force = rng.uniform(-100, 8100, 300), rng.uniform(0, 1, 300)
    together = blows(take(0, 8000), at, force, modes)
    parts = [blows(take(0, 8000), at[k::6], force[k::6], modes) for k in range(6)]
    np.testing.assert_allclose(together, sum(parts), atol=1e-9)
    assert not blows(take(0, 8000), np.array([-5.0, 9000.0]), np.ones(2), modes).any()


def test_background_differs_from_clip_to_clip() -> None:
    assert rms(factory_background(take(0, 32000))) == pytest.approx(1.0)
    spectra = [
        10 * np.log10(welch(factory_background(take(k, 32000)), RATE, nperseg=256)[1])
        for k in range(30)
    ]
    assert np.std(spectra, axis=0)[64:].mean() > 2.0  # above 4 kHz, dB
