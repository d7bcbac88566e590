"""Turning parts: phase of a shaft, harmonics locked to it, instants at which it passes a mark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from asd.data.simulation.machine import Array, Take
from asd.data.simulation.noise import wander

TWO_PI = 2.0 * np.pi
TURN = 2**13  # points of a table of one turn


def shaft_phase(take: Take, hz: float, drift: float, drift_hz: float) -> Array:
    """Angle in radians of a shaft of ``hz`` turns a second on average, [samples].

    Its speed changes ``drift_hz`` times a second, by a relative standard deviation ``drift``.
    """
    speed = hz * (1.0 + drift * wander(take, drift_hz))
    return np.asarray(take.rng.uniform(0.0, TWO_PI) + TWO_PI * np.cumsum(speed) / take.rate)


def harmonics(phase: Array, lines: Mapping[int, complex]) -> Array:
    """Sum over orders of ``Re(lines[order] * exp(1j * order * phase))``, [samples].

    Read from a table of one turn, straight between its ``TURN`` points: off by less than
    ``5 (order / TURN)^2`` of a line. Lines above 0.48 of the sample rate are left out.
    """
    from scipy.fft import irfft

    spectrum = np.zeros(TURN // 2 + 1, dtype=np.complex128)
    highest = 0.48 * TWO_PI / max(np.diff(phase).max(), 1e-9)
    for order, line in lines.items():
        spectrum[order] = line if order <= highest else 0.0
    turn = irfft(spectrum * (TURN / 2), n=TURN)
    at = phase * (TURN / TWO_PI)
    whole = np.floor(at).astype(np.int64)
    part, whole = at - whole, whole % TURN
    return np.asarray(turn[whole] + part * (np.roll(turn, -1) - turn)[whole])


def varied(
    take: Take, lines: Iterable[complex], order: int = 1, spread_db: float = 1.0
) -> dict[int, complex]:
    """Lines at ``order`` and its multiples, each with a random gain."""
    return {(k + 1) * order: line * take.gain(spread_db) for k, line in enumerate(lines)}


def decaying_lines(
    rng: np.random.Generator, count: int, first_db: float, step_db: float, spread_db: float
) -> tuple[complex, ...]:
    """Amplitudes and random phases of harmonics 1..count.

    Their mean level falls from ``first_db`` (0 dB: amplitude 1) by ``step_db`` from one to the
    next; ``spread_db`` is the standard deviation about that.
    """
    order = np.arange(count)
    db = first_db - step_db * order + spread_db * rng.standard_normal(count)
    return tuple((10.0 ** (db / 20.0) * np.exp(1j * rng.uniform(0.0, TWO_PI, count))).tolist())


def passings(phase: Array, order: float, offset: float = 0.0) -> Array:
    """Fractional sample positions at which ``order * phase / 2 pi - offset`` is a whole number.

    ``order`` is the events a turn (not whole for a rolling bearing).
    """
    turns = order * phase / TWO_PI - offset
    marks = np.arange(np.ceil(turns[0]), np.floor(turns[-1]) + 1.0)
    return np.asarray(np.interp(marks, turns, np.arange(len(turns), dtype=np.float64)))
