"""Blows on a structure: modes that ring, and the signal of many blows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asd.data.simulation.noise import Array
from asd.data.simulation.rotation import TWO_PI

RING_DB = 60.0  # a mode is followed until it has fallen by this much
LONGEST_RING_S = 0.25
FEW = 100  # up to so many blows are added one by one, which is faster than convolving


@dataclass(frozen=True)
class Mode:
    """One mode of a structure.

    Attributes:
        hz: frequency.
        decay_s: time constant of the amplitude (falls to 1/e).
        gain: amplitude, relative.
    """

    hz: float
    decay_s: float
    gain: float


def draw_modes(
    rng: np.random.Generator, count: int, low_hz: float, high_hz: float, quality: float
) -> tuple[Mode, ...]:
    """Modes spread over a band (log frequency), of about this quality factor (pi * hz * decay)."""
    edges = np.geomspace(low_hz, high_hz, count + 1)
    hz = edges[:-1] * (edges[1:] / edges[:-1]) ** rng.uniform(0.0, 1.0, count)
    q = quality * rng.uniform(0.7, 1.4, count)
    gain = rng.uniform(0.4, 1.0, count)
    return tuple(
        Mode(float(f), float(d), float(g))
        for f, d, g in zip(hz, q / (np.pi * hz), gain, strict=True)
    )


def ring(modes: Sequence[Mode], rate: int) -> Array:
    """Impulse response of the modes, greatest absolute value 1, [samples until 60 dB down]."""
    last = max(mode.decay_s for mode in modes) * RING_DB / 20.0 * np.log(10.0)
    time = np.arange(max(8, int(min(last, LONGEST_RING_S) * rate))) / rate
    total = np.zeros_like(time)
    for mode in modes:
        if mode.hz < 0.48 * rate:
            total += mode.gain * np.exp(-time / mode.decay_s) * np.sin(TWO_PI * mode.hz * time)
    peak = np.max(np.abs(total))
    return np.asarray(total / peak if peak > 0 else total)


def blows(samples: int, positions: Array, amplitudes: Array, response: Array) -> Array:
    """Signal of blows at given instants, each ringing with ``response``.

    Args:
        samples: length of the signal.
        positions: fractional sample positions, [n]; those outside the clip are left out.
        amplitudes: peak amplitude of each, [n].
        response: impulse response.

    Returns:
        float64 [samples].
    """
    from scipy.signal import oaconvolve

    inside = (positions >= 0) & (positions < samples - 1)
    if not np.any(inside):
        return np.zeros(samples)
    at, height = positions[inside], amplitudes[inside]
    whole = at.astype(np.int64)
    part = at - whole
    if len(at) <= FEW:
        longer = np.append(response, 0.0), np.append(0.0, response)
        total = np.zeros(samples)
        for start, right, size in zip(whole.tolist(), part.tolist(), height.tolist(), strict=True):
            stop = min(samples, start + len(response) + 1)
            blow = size * ((1.0 - right) * longer[0] + right * longer[1])
            total[start:stop] += blow[: stop - start]
        return total
    train = np.bincount(whole, height * (1.0 - part), samples)
    train += np.bincount(whole + 1, height * part, samples)
    return np.asarray(oaconvolve(train, response)[:samples])


def random_instants(rng: np.random.Generator, samples: int, rate: int, per_second: float) -> Array:
    """Positions of a Poisson process, sorted, in samples."""
    count = rng.poisson(per_second * samples / rate)
    return np.asarray(np.sort(rng.uniform(0.0, samples, count)))
