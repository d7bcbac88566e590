"""Blows on a structure: modes that ring, and the signal of many blows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asd.data.simulation.machine import Array, Take
from asd.data.simulation.rotation import TWO_PI, passings

RING_DB = 60.0  # a mode is followed until it has fallen by this much
LONGEST_RING_S = 0.25


@dataclass(frozen=True)
class Mode:
    """One mode of a structure."""

    hz: float  # frequency
    decay_s: float  # time constant of the amplitude (falls to 1/e)
    gain: float  # amplitude, relative


def draw_modes(
    rng: np.random.Generator, count: int, low_hz: float, high_hz: float, quality: float
) -> tuple[Mode, ...]:
    """Modes spread over a band (log frequency), of about this quality factor (pi * hz * decay)."""
    edges = np.geomspace(low_hz, high_hz, count + 1)
    hz = edges[:-1] * (edges[1:] / edges[:-1]) ** rng.uniform(0.0, 1.0, count)
    decay_s = quality * rng.uniform(0.7, 1.4, count) / (np.pi * hz)
    gain = rng.uniform(0.4, 1.0, count)
    return tuple(map(Mode, hz.tolist(), decay_s.tolist(), gain.tolist()))


def ring(modes: Sequence[Mode], rate: int) -> Array:
    """Impulse response of the modes, greatest absolute value 1, [samples until 60 dB down]."""
    last = max(mode.decay_s for mode in modes) * RING_DB / 20.0 * np.log(10.0)
    time = np.arange(max(8, int(min(last, LONGEST_RING_S) * rate))) / rate
    total = np.zeros_like(time)
    for mode in (mode for mode in modes if mode.hz < 0.48 * rate):
        total += mode.gain * np.exp(-time / mode.decay_s) * np.sin(TWO_PI * mode.hz * time)
    peak = np.max(np.abs(total))
    return np.asarray(total / peak if peak > 0 else total)


def blows(take: Take, at: Array, force: Array, modes: Sequence[Mode]) -> Array:
    """Signal of blows of peak amplitudes ``force`` [n], each ringing in the modes, [samples].

    They begin ``at`` fractional sample positions, [n]; those outside the clip are left out.
    """
    samples, response = take.samples, ring(modes, take.rate)
    longer = np.append(response, 0.0), np.append(0.0, response)
    total = np.zeros(samples)
    inside = (at >= 0) & (at < samples - 1)
    for instant, size in zip(at[inside].tolist(), force[inside].tolist(), strict=True):
        start, part = int(instant), instant % 1.0
        stop = min(samples, start + len(response) + 1)
        blow = size * ((1.0 - part) * longer[0] + part * longer[1])
        total[start:stop] += blow[: stop - start]
    return total


def random_instants(take: Take, per_second: float) -> Array:
    """Positions of a Poisson process, sorted, in samples."""
    count = take.rng.poisson(per_second * take.samples / take.rate)
    return np.asarray(np.sort(take.rng.uniform(0.0, take.samples, count)))


def bearing_blows(take: Take, phase: Array, order: float, modes: Sequence[Mode]) -> Array:
    """Balls of a rolling bearing passing a flaw in its outer race.

    Blows at ``order`` (ball-pass order, 3 to 6) a turn with 1 % slip, their force swinging with
    the shaft's load zone, ringing in the housing's modes: the model of McFadden and Smith, Journal
    of Sound and Vibration 96 (1984), in short. Float64 [samples], peak amplitudes about 1.
    """
    at = passings(phase, order, take.rng.uniform())
    gap = take.rate / max(1.0, len(at) * take.rate / take.samples)
    at = at + 0.01 * gap * take.rng.standard_normal(len(at))
    load = 1.0 + 0.5 * np.cos(np.interp(at, np.arange(len(phase)), phase))
    return blows(take, at, load * take.rng.uniform(0.6, 1.2, len(at)), modes)
