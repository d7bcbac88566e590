"""A damaged rolling bearing: the same in every machine that has a shaft."""

from __future__ import annotations

import numpy as np

from asd.data.simulation.impacts import Mode, blows, ring
from asd.data.simulation.machine import Take
from asd.data.simulation.noise import Array
from asd.data.simulation.rotation import passings


def bearing_impacts(take: Take, phase: Array, order: float, modes: tuple[Mode, ...]) -> Array:
    """Balls rolling over a flaw in the outer race.

    Blows at ``order`` (ball-pass order, 3 to 6) a turn with 1 % slip, their force swinging with
    the shaft's load zone, ringing in the housing's modes: the model of McFadden and Smith, Journal
    of Sound and Vibration 96 (1984), in short.

    Returns:
        float64 [samples], blows of peak amplitude about 1.
    """
    at = passings(phase, order, take.rng.uniform())
    gap = take.rate / max(1.0, len(at) * take.rate / take.samples)
    at = at + 0.01 * gap * take.rng.standard_normal(len(at))
    load = 1.0 + 0.5 * np.cos(np.interp(at, np.arange(len(phase)), phase))
    force = load * take.rng.uniform(0.6, 1.2, len(at))
    return blows(take.samples, at, force, ring(modes, take.rate))
