"""Turning parts: phase of a shaft, harmonics locked to it, instants at which it passes a mark."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from asd.data.simulation.machine import Array, Take
from asd.data.simulation.noise import wander

TWO_PI = 2.0 * np.pi
BLOCK = 8192  # samples worked on at a time, so that they stay in the processor's cache


def shaft_phase(take: Take, hz: float, drift: float, drift_hz: float) -> Array:
    """Angle of a shaft in radians, [samples].

    Args:
        hz: mean speed in turns a second.
        drift: standard deviation of the speed, relative.
        drift_hz: how often a second the speed changes.
    """
    speed = hz * (1.0 + drift * wander(take, drift_hz))
    return np.asarray(take.rng.uniform(0.0, TWO_PI) + TWO_PI * np.cumsum(speed) / take.rate)


def harmonics(phase: Array, lines: Mapping[int, complex]) -> Array:
    """Sum over orders of ``Re(lines[order] * exp(1j * order * phase))``, [samples].

    Horner's scheme from the highest order down, one complex product a line in place of a cosine
    and a sine. The caller leaves out orders above half the sample rate (``audible``).
    """
    orders = sorted(lines, reverse=True)
    if not orders:
        return np.zeros_like(phase)
    gaps = [above - below for above, below in zip(orders, [*orders[1:], 0], strict=True)]
    common = math.gcd(*gaps)
    total = np.empty_like(phase)
    for start in range(0, len(phase), BLOCK):
        part = phase[start : start + BLOCK]
        # a cosine and a sine are faster than the complex exponential
        turn = np.cos(common * part) + 1j * np.sin(common * part)
        turns = {gap: _power(turn, gap // common) for gap in set(gaps)}
        running = np.full(part.shape, lines[orders[0]], dtype=np.complex128)
        for gap, below in zip(gaps, [*orders[1:], 0], strict=True):
            running *= turns[gap]
            if below:
                running += lines[below]
        total[start : start + BLOCK] = running.real
    return total


def _power(turn: NDArray[np.complex128], exponent: int) -> NDArray[np.complex128]:
    """``turn ** exponent``, exponent at least 1, by squaring."""
    if exponent == 1:
        return turn
    half = _power(turn, exponent // 2)
    return np.asarray(half * half * turn if exponent % 2 else half * half)


def steady_tone(take: Take, hz: float) -> Array:
    """``cos(2 pi hz t + start)``, [samples], from products of two short series of cosines."""
    step = TWO_PI * hz / take.rate
    fine = step * np.arange(256)
    coarse = take.rng.uniform(0.0, TWO_PI) + step * 256.0 * np.arange(-(-take.samples // 256))
    block = np.outer(np.cos(coarse), np.cos(fine)) - np.outer(np.sin(coarse), np.sin(fine))
    return np.asarray(block.ravel()[: take.samples])


def audible(take: Take, phase: Array, lines: Mapping[int, complex], hz: float) -> Array:
    """``harmonics`` of a shaft of mean speed ``hz`` that stay below 0.48 of the sample rate."""
    kept = {order: line for order, line in lines.items() if order * hz < 0.48 * take.rate}
    return harmonics(phase, kept)


def varied(
    take: Take, lines: Iterable[complex], order: int = 1, spread_db: float = 1.0
) -> dict[int, complex]:
    """Lines at ``order`` and its multiples, each with a random gain."""
    return {(k + 1) * order: line * take.gain(spread_db) for k, line in enumerate(lines)}


def decaying_lines(
    rng: np.random.Generator, count: int, first_db: float, step_db: float, spread_db: float
) -> tuple[complex, ...]:
    """Amplitudes and random phases of harmonics 1..count.

    Args:
        rng: draws levels and phases.
        count: number of harmonics.
        first_db: mean level of the first (0 dB: amplitude 1).
        step_db: mean fall from one to the next.
        spread_db: standard deviation about that.
    """
    order = np.arange(count)
    db = first_db - step_db * order + spread_db * rng.standard_normal(count)
    lines = 10.0 ** (db / 20.0) * np.exp(1j * rng.uniform(0.0, TWO_PI, count))
    return tuple(complex(line) for line in lines)


def passings(phase: Array, order: float, offset: float = 0.0) -> Array:
    """Fractional sample positions at which ``order * phase / 2 pi - offset`` is a whole number.

    ``order`` is the events a turn (not whole for a rolling bearing).
    """
    turns = order * phase / TWO_PI - offset
    marks = np.arange(np.ceil(turns[0]), np.floor(turns[-1]) + 1.0)
    return np.asarray(np.interp(marks, turns, np.arange(len(turns), dtype=np.float64)))
