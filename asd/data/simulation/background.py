"""The factory around the machine: another noise in every clip."""

from __future__ import annotations

import numpy as np

from asd.data.simulation.impacts import Mode, blows, random_instants
from asd.data.simulation.machine import Array, Take, amplitude, rms
from asd.data.simulation.noise import gain_wander, shaped_noise
from asd.data.simulation.rotation import TWO_PI


def factory_background(take: Take) -> Array:
    """Noise of a factory hall, rms 1, [samples].

    A broadband floor that falls with frequency, its tilt and its slow swell drawn anew for each
    clip; up to three lines of other machines between 300 Hz and 3 kHz; now and then a distant
    blow. In the real fan recordings the noise above 4 kHz differs by 10 dB from clip to clip and
    lines between 500 Hz and 3 kHz come and go; the same is drawn here.
    """
    rng = take.rng
    tilt, bulge = 4.0 * rng.standard_normal(), 3.0 * rng.standard_normal()
    floor = shaped_noise(
        take,
        (40.0, 200.0, 900.0, 3000.0, 8000.0),
        (-tilt, 0.0, -6.0 + bulge, -15.0 + 0.5 * tilt, -26.0 + tilt),
    )
    swell = gain_wander(take, rng.uniform(0.3, 2.0), 1.0)
    total = floor * swell
    for _ in range(int(rng.integers(0, 4))):
        hz = 300.0 * 10.0 ** rng.uniform(0.0, 1.0)
        level = amplitude(rng.uniform(-24.0, -10.0)) * (300.0 / hz) ** 0.5
        turning = TWO_PI * hz * np.arange(take.samples) / take.rate
        total += level * np.cos(turning + rng.uniform(0.0, TWO_PI))
    at = random_instants(take, 0.3)
    clank = (
        Mode(rng.uniform(300.0, 900.0), 0.03, 1.0),
        Mode(rng.uniform(900.0, 2500.0), 0.02, 0.6),
    )
    total += blows(take, at, rng.uniform(0.3, 1.5, len(at)), clank)
    return np.asarray(total / rms(total))
