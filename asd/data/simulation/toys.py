"""Toys: a car on a stand (motor, gears, wheels) and a conveyor (motor, rollers, a belt's joint)."""

from __future__ import annotations

import numpy as np

from asd.data.simulation.impacts import Mode, blows
from asd.data.simulation.machine import Array, Take, Unit
from asd.data.simulation.noise import band_noise, tilted_noise, wander
from asd.data.simulation.rotation import harmonics, passings, shaft_phase, varied


def toy_car_sound(unit: Unit, take: Take) -> Array:
    """One take, float64 [take.samples], normal rms of the order of 1."""
    rng, rate = take.rng, take.rate
    under = take.strength("under_voltage")
    speed = take.pace(0.03, 0.28)
    hz = unit.motor_hz * speed
    phase = shaft_phase(take, hz, 0.006 + 0.02 * under, 2.0)
    wheel = phase / unit.ratio
    bent = take.strength("bent_shaft")
    swing = np.sin(wheel + rng.uniform(0.0, 6.0))
    if bent > 0:  # the gears come closer and part: the pitch radius changes with the angle
        phase = phase + bent * 0.45 * swing * unit.ratio / unit.teeth

    melted = take.strength("melted_gear")
    phase = phase + melted * 2.5 / unit.teeth * wander(take, 60.0)

    mesh = varied(take, unit.mesh, unit.teeth)
    whine = {6 * (k + 1): line for k, line in enumerate(unit.whine)}
    depth = min(0.95, unit.wobble + 0.7 * bent)
    total = harmonics(phase, mesh) * (1.0 + depth * swing)
    total += harmonics(phase, whine)
    rolling = tilted_noise(take, unit.rolling)
    total += rolling * wander(take, 4.0, gain_db=0.8) * (1.0 + 0.2 * swing)
    total *= speed**2 * take.gain()

    if rattle := take.level("bent_shaft", -22.0, 2.0):
        at = passings(wheel, 2.0, rng.uniform())
        at = at + 0.01 * rate * rng.standard_normal(len(at))
        force = rattle * rng.uniform(0.3, 1.0, len(at))
        total += blows(take, at, force, unit.body)
    if knock := take.level("deformed_gear", 4.0, 24.0):
        at = passings(wheel, 1.0, rng.uniform())
        force = knock * rng.uniform(0.6, 1.1, len(at))
        total += blows(take, at, force, unit.gearbox)
    if flap := take.level("tangled_wheel", -10.0, 11.0):
        gate = np.clip(np.cos(wheel + rng.uniform(0.0, 6.0)), 0.0, None) ** 4
        total += flap * gate * band_noise(take, 900.0, 5000.0)
    if spark := take.level("over_voltage", -26.0, -4.0):
        brush = 1.0 + np.cos(6 * phase)
        total += spark * brush * band_noise(take, 3500.0, 7000.0)
    if under > 0:
        total *= 1.0 - 0.6 * under * np.clip(wander(take, 5.0), 0.0, 1.0)
    return np.asarray(total)


def toy_conveyor_sound(unit: Unit, take: Take) -> Array:
    """One take, float64 [take.samples], normal rms of the order of 1."""
    rng, rate = take.rng, take.rate
    tight = take.strength("belt_tension")
    speed = take.pace(0.03, 0.28)
    hz = unit.motor_hz * speed
    phase = shaft_phase(take, hz, 0.005 + 0.03 * take.strength("under_voltage"), 2.0)
    roller = phase / unit.roller_ratio
    belt = roller / unit.belt_ratio
    swing = np.sin(roller + rng.uniform(0.0, 6.0))

    mesh = varied(take, unit.mesh, unit.teeth)
    growl = 1.0 + 0.7 * tight * swing
    total = harmonics(phase, mesh) * growl * (1.0 + 0.3 * tight)
    slack = take.level("slack_belt", -2.0, -14.0) or 1.0
    rub = slack * tilted_noise(take, unit.rub)
    total += rub * (1.0 + unit.rumble * swing) * wander(take, 3.0, gain_db=0.8)
    joint = passings(belt, 2.0, rng.uniform())  # over the head and over the tail roller
    force = slack * unit.joint_gain * rng.uniform(0.7, 1.2, len(joint))
    total += blows(take, joint, force, unit.frame)
    total *= speed**2 * take.gain()

    if clank := take.level("attached_object", 0.0, 24.0):
        at = passings(belt, 2.0, rng.uniform())
        at = np.concatenate([at, at + 0.03 * rate, at + 0.055 * rate])
        metal = (Mode(2300.0, 0.02, 1.0), Mode(3900.0, 0.015, 0.8), Mode(5700.0, 0.01, 0.5))
        total += blows(take, at, clank * rng.uniform(0.3, 1.0, len(at)), metal)
    if dry := take.level("tail_pulley", -20.0, 8.0):
        gate = np.clip(np.cos(roller + rng.uniform(0.0, 6.0)) - 0.2, 0.0, None)
        pitch = unit.squeak_hz * (1.0 + 0.12 * gate + 0.01 * wander(take, 20.0))
        tone = harmonics(6.2831853 * np.cumsum(pitch) / rate, {1: 1.0, 2: 0.5})
        total += dry * 1.5 * gate * tone
    if rattle := take.level("belt_tension", -24.0, -2.0):
        at = passings(roller, 5.0, rng.uniform())
        at = at + 0.008 * rate * rng.standard_normal(len(at))
        force = rattle * rng.uniform(0.2, 1.2, len(at))
        total += blows(take, at, force, unit.frame)
    if hiss := take.level("over_voltage", -26.0, -6.0):
        total += hiss * (1.0 + np.cos(2 * phase)) * band_noise(take, 3000.0, 7000.0)
    return np.asarray(total)
