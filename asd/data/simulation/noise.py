"""Random signals: noise of a given spectrum, and slow wandering of a level or a speed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

NEPER = float(np.log(10.0) / 20.0)  # natural logarithm of an amplitude ratio of 1 dB
FLOOR_HZ = 10.0  # below this no machine here radiates and no microphone of the corpus hears


def amplitude(db: float) -> float:
    """Amplitude ratio of a level difference in dB."""
    return float(10.0 ** (db / 20.0))


def rms(signal: Array) -> float:
    """Root mean square of a signal of any shape."""
    return float(np.sqrt(np.mean(np.square(signal))))


@lru_cache(maxsize=16)
def _octaves(samples: int, rate: int) -> Array:
    """log2 of the frequency of each rfft bin, [samples // 2 + 1]; bin 0 gets bin 1's value."""
    hz = np.fft.rfftfreq(samples, 1.0 / rate)
    hz[0] = hz[1]
    return np.asarray(np.log2(hz))


def shaped_noise(
    rng: np.random.Generator, samples: int, rate: int, points: Sequence[tuple[float, float]]
) -> Array:
    """Gaussian noise whose power spectral density runs through given points.

    The spectrum is drawn directly (independent complex Gaussian bins), so that one inverse
    transform makes the noise; it is periodic over the clip.

    Args:
        rng: source of the random numbers; ``2 * (samples // 2 + 1)`` normals are drawn.
        samples: length.
        rate: Hz.
        points: (Hz, dB) with rising Hz; straight lines over log frequency between them, constant
            outside.

    Returns:
        float64 [samples]; its expected rms is 1 whatever the points' overall level.
    """
    from scipy.fft import irfft

    bins = samples // 2 + 1
    db = np.interp(
        _octaves(samples, rate), [np.log2(hz) for hz, _ in points], [level for _, level in points]
    )
    shape = np.exp(db * NEPER)
    shape[: int(np.ceil(FLOOR_HZ * samples / rate))] = 0.0
    # irfft scales by 1/samples and each bin between 0 and Nyquist stands for two
    shape *= samples / np.sqrt(4.0 * np.sum(np.square(shape)))
    pairs = rng.standard_normal((bins, 2)) * shape[:, None]
    return np.asarray(irfft(pairs.view(np.complex128)[:, 0], n=samples))


def band_noise(
    rng: np.random.Generator, samples: int, rate: int, low_hz: float, high_hz: float
) -> Array:
    """Gaussian noise of expected rms 1 between two frequencies, 40 dB down an octave outside."""
    points = [(low_hz / 2.0, -40.0), (low_hz, 0.0), (high_hz, 0.0), (high_hz * 2.0, -40.0)]
    return shaped_noise(rng, samples, rate, points)


def draw_levels(
    rng: np.random.Generator, db: Sequence[float], spread_db: float
) -> tuple[float, ...]:
    """Levels about ``db`` with this standard deviation."""
    return tuple((np.array(db) + spread_db * rng.standard_normal(len(db))).tolist())


def wander(rng: np.random.Generator, samples: int, rate: int, hz: float) -> Array:
    """A slow random function, standard deviation about 1, changing about ``hz`` times a second.

    Straight lines between Gaussian knots; [samples].
    """
    knots, where = _knots(rng, samples, rate, hz)
    return np.asarray(np.interp(np.arange(samples), where, knots))


def gain_wander(
    rng: np.random.Generator, samples: int, rate: int, hz: float, spread_db: float
) -> Array:
    """A slow random gain whose level has this standard deviation in dB; [samples]."""
    knots, where = _knots(rng, samples, rate, hz)
    return np.asarray(np.interp(np.arange(samples), where, np.exp(spread_db * NEPER * knots)))


def _knots(rng: np.random.Generator, samples: int, rate: int, hz: float) -> tuple[Array, Array]:
    """Values and sample positions of the knots of ``wander``; they reach beyond the clip."""
    spacing = rate / (2.0 * hz)
    values = rng.standard_normal(int(samples / spacing) + 3)
    where = (np.arange(len(values)) - rng.uniform()) * spacing
    return values, np.asarray(where, dtype=np.float64)
