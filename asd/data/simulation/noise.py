"""Random signals: noise of a given spectrum, and slow wandering of a level or a speed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from asd.data.simulation.machine import Array, Take

NEPER = float(np.log(10.0) / 20.0)  # natural logarithm of an amplitude ratio of 1 dB
FLOOR_HZ = 10.0  # below this no machine here radiates and no microphone of the corpus hears


@lru_cache(maxsize=16)
def _octaves(samples: int, rate: int) -> Array:
    """log2 of the frequency of each rfft bin, [samples // 2 + 1]; bin 0 gets bin 1's value."""
    hz = np.fft.rfftfreq(samples, 1.0 / rate)
    hz[0] = hz[1]
    return np.asarray(np.log2(hz))


def shaped_noise(take: Take, hz: Sequence[float], db: Sequence[float] | Array) -> Array:
    """Gaussian noise whose power spectral density runs through given points, [samples].

    The spectrum is drawn directly (independent complex Gaussian bins, ``2 * (samples // 2 + 1)``
    normals), so that one inverse transform makes the noise; it is periodic over the clip.

    Args:
        hz: rising frequencies.
        db: level at each of them; straight lines over log frequency between them, constant
            outside. Whatever the overall level, the expected rms is 1.
    """
    from scipy.fft import irfft

    samples, rate = take.samples, take.rate
    level = np.interp(_octaves(samples, rate), [np.log2(f) for f in hz], db)
    shape = np.exp(level * NEPER)
    shape[: int(np.ceil(FLOOR_HZ * samples / rate))] = 0.0
    # irfft scales by 1/samples and each bin between 0 and Nyquist stands for two
    shape *= samples / np.sqrt(4.0 * np.sum(np.square(shape)))
    pairs = take.rng.standard_normal((samples // 2 + 1, 2)) * shape[:, None]
    return np.asarray(irfft(pairs.view(np.complex128)[:, 0], n=samples))


def without_infrasound(signal: Array, rate: int) -> Array:
    """A signal without what lies under ``FLOOR_HZ``, its mean included."""
    from scipy.fft import irfft, rfft

    spectrum = rfft(signal)
    spectrum[: int(np.ceil(FLOOR_HZ * len(signal) / rate))] = 0.0
    return np.asarray(irfft(spectrum, n=len(signal)))


def band_noise(take: Take, low_hz: float, high_hz: float) -> Array:
    """Gaussian noise of expected rms 1 between two frequencies, 40 dB down an octave outside."""
    return shaped_noise(
        take, (low_hz / 2.0, low_hz, high_hz, high_hz * 2.0), (-40.0, 0.0, 0.0, -40.0)
    )


class Spectrum(NamedTuple):
    """Density of a unit's noise, whose tilt differs from take to take."""

    hz: Sequence[float]
    db: Sequence[float]  # at each of ``hz``
    tilt: Sequence[float]  # how much of a take's tilt in dB each gets


def tilted_noise(take: Take, spectrum: Spectrum) -> Array:
    """``shaped_noise`` of this spectrum, its tilt of standard deviation 1 dB drawn for the take."""
    tilt = take.rng.standard_normal() * np.array(spectrum.tilt)
    return shaped_noise(take, spectrum.hz, np.add(spectrum.db, tilt))


def wander(take: Take, hz: float, gain_db: float | None = None) -> Array:
    """A slow random function, standard deviation about 1, changing about ``hz`` times a second.

    Straight lines between Gaussian knots, which reach beyond the clip; [samples]. With ``gain_db``
    it is a gain, whose level has this standard deviation in dB.
    """
    spacing = take.rate / (2.0 * hz)
    knots = take.rng.standard_normal(int(take.samples / spacing) + 3)
    at = (np.arange(len(knots)) - take.rng.uniform()) * spacing
    if gain_db is not None:
        knots = np.exp(gain_db * NEPER * knots)
    return np.asarray(np.interp(np.arange(take.samples), at, knots))
