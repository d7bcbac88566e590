"""Machines that work in strokes: a slide rail and a solenoid valve.

The rail's carriage goes to and fro, with whine and friction that follow its speed. The valve has a
click to open, a puff of air, a softer click to close, again and again.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from asd.data.simulation.impacts import Mode, blows
from asd.data.simulation.machine import Array, Take, Unit
from asd.data.simulation.noise import band_noise, tilted_noise, wander
from asd.data.simulation.rotation import TWO_PI, harmonics, varied

REST = 0.02  # leakage noise of the seals of a sound valve, rms (an opening click peaks at about 1)


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
    if stall := take.strength("stalling"):
        count = int(number[-1]) + 1
        halts = np.where(rng.uniform(size=count) < 0.2 + 0.6 * stall, rng.uniform(size=count), 2.0)
        moving = move < halts[number.astype(np.int64)]
        speed, move = speed * moving, move * moving

    loose = take.strength("loose_belt")
    waver = 1.0 + 0.004 * wander(take, 2.0)
    if loose > 0:
        beat = rng.uniform(14.0, 30.0)
        waver = waver + (0.01 + 0.07 * loose) * np.sin(TWO_PI * beat * np.arange(n) / rate)
    hz = unit.motor_hz * rng.uniform(0.985, 1.015)
    phase = rng.uniform(0.0, TWO_PI) + TWO_PI * np.cumsum(hz * speed * waver) / rate
    total = np.sqrt(speed) * harmonics(phase, varied(take, unit.lines))
    friction = tilted_noise(take, unit.friction)
    if worn := take.strength("worn_rollers"):
        rumble = band_noise(take, 120.0, 500.0)
        friction = (1.0 - 0.9 * worn) ** 0.5 * friction + (0.9 * worn) ** 0.5 * rumble
    total += speed * friction * wander(take, 6.0, gain_db=1.0)
    total *= gain
    ends = np.flatnonzero((move[1:] >= 1.0) & (move[:-1] < 1.0)).astype(np.float64)
    total += blows(take, ends, unit.stop_gain * rng.uniform(0.6, 1.3, len(ends)), unit.stop)
    total *= take.gain()

    if slap := take.level("loose_belt", 8.0, 26.0):
        starts = np.flatnonzero((speed[1:] > 0) & (speed[:-1] <= 0)).astype(np.float64)
        at = np.concatenate([starts + d * rate for d in (0.012, 0.035, 0.07)])
        flap = (Mode(2.2 * unit.motor_hz, 0.006, 1.0), Mode(5.1 * unit.motor_hz, 0.004, 0.8))
        total += blows(take, at, slap * rng.uniform(0.3, 1.0, len(at)), flap)
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

    weak = take.strength("weak_coil")
    lift = np.where(rng.uniform(size=cycles) < 0.6 * weak, 0.0, 1.0 - 0.5 * weak)
    soft = 1.0 - 0.3 * take.strength("worn_seat")  # rubber in place of metal
    opening, closing = (
        [replace(mode, hz=soft * mode.hz) for mode in modes]
        for modes in (unit.opening, unit.closing)
    )
    total = blows(take, opened, lift * rng.uniform(0.8, 1.2, cycles), opening)
    force = unit.closing_gain * (take.level("weak_spring", -3.0, -20.0) or 1.0)
    total += blows(take, closed, lift * force * rng.uniform(0.8, 1.2, cycles), closing)
    time = np.arange(n)
    cycle = np.clip(np.searchsorted(opened, time) - 1, 0, cycles - 1)
    last = opened[cycle]
    age = np.where(time >= last, (time - last) / rate, np.inf)
    air = band_noise(take, unit.puff_low_hz, unit.puff_low_hz * unit.puff_ratio)
    total += air * (REST + unit.puff_gain * lift[cycle] * np.exp(-age / unit.puff_s))
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
        jet = band_noise(take, 2500.0, 6500.0)
        total += leak * jet * ~live * (0.7 + np.clip(0.4 * wander(take, 12.0), -0.6, 1))
    if grate := take.level("sticking", -24.0, -2.0):
        scrape = np.exp(-age / 0.08) * np.clip(wander(take, 60.0), 0.0, None)
        total += grate * scrape * band_noise(take, 400.0, 2200.0)
    if buzz := take.level("coil_fault", -16.0, -1.0):
        at = np.arange(0.0, n, rate / (2 * unit.hum_hz)) + rng.uniform(0.0, 80.0)
        at = at[live[np.minimum(at.astype(np.int64), n - 1)]]
        total += blows(take, at, buzz * rng.uniform(0.3, 1.0, len(at)), unit.closing)
    return np.asarray(total)
