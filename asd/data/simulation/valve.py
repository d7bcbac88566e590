"""Solenoid valve: a click to open, a puff of air, a softer click to close, again and again."""

from __future__ import annotations

import numpy as np

from asd.data.simulation.impacts import blows
from asd.data.simulation.machine import Array, Take
from asd.data.simulation.noise import band_noise, wander
from asd.data.simulation.rotation import TWO_PI
from asd.data.simulation.units import Unit

REST = 0.02  # leakage noise of the seals of a sound valve, rms (an opening click peaks at about 1)


def valve_sound(unit: Unit, take: Take) -> Array:
    """One take, float64 [take.samples], normal rms of the order of 1."""
    rng, n, rate = take.rng, take.samples, take.rate
    period = unit.period_s * rng.uniform(0.98, 1.02) * rate
    cycles = int(n / period) + 2
    energised = (np.arange(cycles) - rng.uniform()) * period
    energised = energised + 0.002 * rate * rng.standard_normal(cycles)
    released = energised + unit.duty * period
    stick = take.strength("sticking")
    opened = energised + stick * 0.09 * rate * rng.uniform(0.0, 1.0, cycles)
    closed = released + stick * 0.09 * rate * rng.uniform(0.0, 1.0, cycles)

    force = rng.uniform(0.8, 1.2, cycles)
    total = blows(take, opened, force, unit.opening)
    force = unit.closing_gain * rng.uniform(0.8, 1.2, cycles)
    total += blows(take, closed, force, unit.closing)
    time = np.arange(n)
    last = opened[np.clip(np.searchsorted(opened, time) - 1, 0, cycles - 1)]
    age = np.where(time >= last, (time - last) / rate, np.inf)
    air = band_noise(take, unit.puff_low_hz, unit.puff_low_hz * unit.puff_ratio)
    total += air * (REST + unit.puff_gain * np.exp(-age / unit.puff_s))
    last = energised[np.clip(np.searchsorted(energised, time) - 1, 0, cycles - 1)]
    live = (time >= last) & (time < last + unit.duty * period)
    mains = TWO_PI * unit.hum_hz * time / rate + rng.uniform(0.0, TWO_PI)
    total += unit.hum_gain * live * (np.cos(2 * mains) + 0.5 * np.cos(4 * mains))
    total *= take.gain()

    if dirt := take.level("contamination", -14.0, 2.0):
        bounces = 3 + round(7 * take.strength("contamination"))
        gaps = np.cumsum(rng.uniform(0.004, 0.022, (cycles, bounces)), axis=1) * rate
        fall = 0.85 ** np.arange(bounces) * rng.uniform(0.5, 1.2, (cycles, bounces))
        for first, modes in ((opened, unit.opening), (closed, unit.closing)):
            total += dirt * blows(take, (first[:, None] + gaps).ravel(), fall.ravel(), modes)
    if leak := take.level("leakage", -36.0, -18.0):
        shut = (time < last) | (time >= last + unit.duty * period)
        jet = band_noise(take, 2500.0, 6500.0)
        total += leak * jet * shut * (0.7 + np.clip(0.4 * wander(take, 12.0), -0.6, 1))
    if grate := take.level("sticking", -24.0, -2.0):
        scrape = np.exp(-age / 0.08) * np.clip(wander(take, 60.0), 0.0, None)
        total += grate * scrape * band_noise(take, 400.0, 2200.0)
    if buzz := take.level("coil_fault", -16.0, -1.0):
        at = np.arange(0.0, n, rate / (2 * unit.hum_hz)) + rng.uniform(0.0, 80.0)
        at = at[live[np.minimum(at.astype(np.int64), n - 1)]]
        total += blows(take, at, buzz * rng.uniform(0.3, 1.0, len(at)), unit.closing)
    return np.asarray(total)
