"""Slide rail: a carriage that goes to and fro, with whine and friction that follow its speed."""

from __future__ import annotations

import numpy as np

from asd.data.simulation.impacts import Mode, blows
from asd.data.simulation.machine import Array, Take
from asd.data.simulation.noise import band_noise, gain_wander, tilted_noise, wander
from asd.data.simulation.rotation import TWO_PI, audible, harmonics, varied
from asd.data.simulation.units import Unit


def slider_sound(unit: Unit, take: Take) -> Array:
    """One take, float64 [take.samples], normal rms of the order of 1."""
    rng, n, rate = take.rng, take.samples, take.rate
    pace = unit.stroke_s * rng.uniform(0.97, 1.03) * rate
    strokes = (np.arange(n) + rng.uniform(0.0, 2.0) * pace) / pace
    number = np.floor(strokes)
    back = number % 2 == 1
    move = np.minimum((strokes - number) / (1.0 - unit.dwell), 1.0)
    speed = np.clip(np.minimum(move, 1.0 - move) / unit.ramp, 0.0, 1.0)
    gain = np.where(back, unit.back_gain, 1.0)

    loose = take.strength("loose_belt")
    waver = 1.0 + 0.004 * wander(take, 2.0)
    if loose > 0:
        beat = rng.uniform(14.0, 30.0)
        waver = waver + (0.01 + 0.07 * loose) * np.sin(TWO_PI * beat * np.arange(n) / rate)
    hz = unit.motor_hz * rng.uniform(0.985, 1.015)
    phase = rng.uniform(0.0, TWO_PI) + TWO_PI * np.cumsum(hz * speed * waver) / rate
    total = np.sqrt(speed) * audible(take, phase, varied(take, unit.lines), hz)
    total += speed * tilted_noise(take, unit.friction) * gain_wander(take, 6.0, 1.0)
    total *= gain
    ends = np.flatnonzero((move[1:] >= 1.0) & (move[:-1] < 1.0)).astype(np.float64)
    thump = unit.stop_gain * rng.uniform(0.6, 1.3, len(ends))
    total += blows(take, ends, thump, unit.stop)
    total *= take.gain()

    if slap := take.level("loose_belt", 8.0, 26.0):
        starts = np.flatnonzero((speed[1:] > 0) & (speed[:-1] <= 0)).astype(np.float64)
        at = np.concatenate([starts + d * rate for d in (0.012, 0.035, 0.07)])
        force = slap * rng.uniform(0.3, 1.0, len(at))
        flap = (Mode(2.2 * unit.motor_hz, 0.006, 1.0), Mode(5.1 * unit.motor_hz, 0.004, 0.8))
        total += blows(take, at, force, flap)
    if click := take.level("rail_damage", 4.0, 24.0):
        place = rng.uniform(0.25, 0.75)
        where = np.where(back, 1.0 - move, move)
        rough_part = np.clip(1.0 - np.abs(where - place) / 0.12, 0.0, None) * speed
        total += 0.3 * click * rough_part * band_noise(take, 1200.0, 6500.0)
        at = np.flatnonzero((where[1:] < place) != (where[:-1] < place)).astype(np.float64)
        at = at[speed[at.astype(np.int64)] > 0]  # not the jump between two strokes
        hit = (Mode(1900.0, 0.004, 1.0), Mode(3400.0, 0.003, 0.8), Mode(5600.0, 0.002, 0.6))
        at = np.concatenate([at, at + 0.011 * rate])
        total += blows(take, at, click * rng.uniform(0.5, 1.0, len(at)), hit)
    if dry := take.level("no_grease", -14.0, 10.0):
        pitch = unit.squeal_hz * rng.uniform(0.85, 1.15) * (0.6 + 0.5 * speed)
        pitch = pitch * (1.0 + 0.03 * wander(take, 25.0))
        squeal = harmonics(TWO_PI * np.cumsum(pitch) / rate, {1: 1.0, 2: 0.6, 3: 0.35})
        rough = np.clip(0.4 + wander(take, 18.0), 0.0, None)
        scrape = band_noise(take, 1500.0, 7000.0)
        total += dry * rough * speed * (squeal + 0.5 * scrape)
    return np.asarray(total)
