"""Machines that turn: a fan and a pump, a toy car on a stand and a toy conveyor.

The fan's region is that of the real fans of the MIMII data set: shaft at 22.5 Hz and a blade-pass
line at 67.4 Hz 20 dB above the noise, flow noise flat to 1 kHz and falling 3 to 9 dB an octave
above, level in 20 ms frames swinging by 1.2 to 2.2 dB. The pump has pulsation at the vane-pass
frequency and the crackle of cavitation; the car a motor, gears and wheels; the conveyor a motor,
rollers and a belt's joint.
"""

from __future__ import annotations

import numpy as np

from asd.data.simulation.impacts import Mode, bearing_blows, blows, random_instants
from asd.data.simulation.machine import Array, Take, Unit
from asd.data.simulation.noise import band_noise, shaped_noise, tilted_noise, wander
from asd.data.simulation.rotation import TWO_PI, harmonics, passings, shaft_phase, varied

FLOW_HZ = (63.0, 125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0)


def fan_sound(unit: Unit, take: Take) -> Array:
    """One take, float64 [take.samples], normal rms of the order of 1."""
    rng = take.rng
    speed = take.pace(0.03, 0.2)
    phase = shaft_phase(take, unit.shaft_hz * speed, 0.004, 1.0)
    off = take.level("imbalance", -16.0, 4.0)

    lines = varied(take, unit.lines, unit.blades, 1.5)
    lines[1] = lines.get(1, 0.0) + unit.shaft_line[0] * (1.0 + 5.0 * off)
    for order, part in ((2, 0.6), (3, 0.4), (4, 0.25)):
        lines[order] = lines.get(order, 0.0) + part * off * 0.6
    tonal = harmonics(phase, lines)

    tilt = 1.5 * rng.standard_normal() + 7.0 * take.strength("eroded_blades")
    density = [db + tilt * (k - 3.5) / 3.5 for k, db in enumerate(unit.flow_db)]
    flow = shaped_noise(take, FLOW_HZ, density)
    gust = wander(take, 2.0, gain_db=1.0)
    total = tonal + flow * gust * (1.0 + min(1.2, 0.9 * off) * np.cos(phase))
    total *= speed**2.5 * take.gain()

    if stall := take.level("clogging", -22.0, -3.0):
        surge = np.clip(wander(take, rng.uniform(3.0, 7.0)), 0.0, None)
        total += stall * surge * band_noise(take, 1500.0, 5500.0)
        total += 4.0 * stall * surge * band_noise(take, 120.0, 700.0)
    if whine := take.level("over_voltage", -30.0, -10.0):
        order = round(rng.uniform(38.0, 60.0))
        total += harmonics(phase, {order: whine, 2 * order: whine})
    if knock := take.level("bearing_fault", -12.0, 12.0):
        total += knock * bearing_blows(take, phase, unit.ball_order, unit.housing)
    return np.asarray(total)


def pump_sound(unit: Unit, take: Take) -> Array:
    """One take, float64 [take.samples], normal rms of the order of 1."""
    rng, n, rate = take.rng, take.samples, take.rate
    clog = take.strength("clogging")
    hz = unit.shaft_hz * rng.uniform(0.98, 1.02) * (1.0 - 0.08 * clog)
    phase = shaft_phase(take, hz, 0.003 + 0.02 * clog, 1.5)
    filled = take.level("loss_of_prime", -0.5, -12.0) or 1.0
    load = filled * take.gain(1.5)

    lines = dict(enumerate(unit.hum, start=1))
    for order, line in varied(take, [line * load for line in unit.lines], unit.vanes).items():
        lines[order] = lines.get(order, 0.0) + line
    tonal = harmonics(phase, lines)
    deep = 1.0 + take.level("clogging", -14.0, -1.0) * np.cos(
        TWO_PI * rng.uniform(3.0, 9.0) * np.arange(n) / rate
    )
    tilt = rng.standard_normal()
    flow = shaped_noise(
        take,
        (60.0, unit.pipe_hz * 0.6, unit.pipe_hz, unit.pipe_hz * 1.6, 4000.0, 8000.0),
        (-6.0 - tilt, -2.0, unit.pipe_db, -3.0, -14.0 + tilt, -24.0 + tilt),
    )
    total = tonal * deep + filled * flow * wander(take, 3.0, gain_db=0.8)
    total += _crackle(unit, take, unit.bubbles_per_s * load, 0.35)
    total *= take.gain()

    if collapse := take.level("clogging", -10.0, 10.0):
        total += _crackle(unit, take, 40.0 + 260.0 * clog, 1.2 * collapse)
    if jet := take.level("leakage", -26.0, -4.0):
        spit = 0.5 + np.clip(wander(take, 9.0), -0.4, 3.0)
        total += jet * spit * band_noise(take, 2500.0, 7000.0)
    if grit := take.level("contamination", -2.0, 18.0):
        burst = random_instants(take, 3.0 + 5.0 * take.strength("contamination"))
        at = np.repeat(burst, 6) + np.abs(rng.normal(0.0, 0.03 * rate, 6 * len(burst)))
        total += grit * blows(take, at, rng.uniform(0.2, 1.0, len(at)), unit.housing)
    if knock := take.level("bearing_fault", -8.0, 14.0):
        total += knock * bearing_blows(take, phase, unit.ball_order, unit.housing)
    return np.asarray(total)


def _crackle(unit: Unit, take: Take, per_second: float, gain: float) -> Array:
    """Bubbles collapsing at random instants, exponential strengths."""
    at = random_instants(take, per_second)
    return blows(take, at, gain * take.rng.exponential(1.0, len(at)), unit.bubble)


def toy_car_sound(unit: Unit, take: Take) -> Array:
    """One take, float64 [take.samples], normal rms of the order of 1."""
    rng, rate = take.rng, take.rate
    under, speed = take.strength("under_voltage"), take.pace(0.03, 0.28)
    phase = shaft_phase(take, unit.motor_hz * speed, 0.006 + 0.02 * under, 2.0)
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
    total = harmonics(phase, mesh) * (1.0 + depth * swing) + harmonics(phase, whine)
    rolling = tilted_noise(take, unit.rolling) * wander(take, 4.0, gain_db=0.8)
    total += rolling * (1.0 + 0.2 * swing)
    total *= speed**2 * take.gain()

    if rattle := take.level("bent_shaft", -22.0, 2.0):
        at = passings(wheel, 2.0, rng.uniform())
        at = at + 0.01 * rate * rng.standard_normal(len(at))
        total += blows(take, at, rattle * rng.uniform(0.3, 1.0, len(at)), unit.body)
    if knock := take.level("deformed_gear", 4.0, 24.0):
        at = passings(wheel, 1.0, rng.uniform())
        total += blows(take, at, knock * rng.uniform(0.6, 1.1, len(at)), unit.gearbox)
    if flap := take.level("tangled_wheel", -10.0, 11.0):
        gate = np.clip(np.cos(wheel + rng.uniform(0.0, 6.0)), 0.0, None) ** 4
        total += flap * gate * band_noise(take, 900.0, 5000.0)
    if spark := take.level("over_voltage", -26.0, -4.0):
        total += spark * (1.0 + np.cos(6 * phase)) * band_noise(take, 3500.0, 7000.0)
    if under > 0:
        total *= 1.0 - 0.6 * under * np.clip(wander(take, 5.0), 0.0, 1.0)
    return np.asarray(total)


def toy_conveyor_sound(unit: Unit, take: Take) -> Array:
    """One take, float64 [take.samples], normal rms of the order of 1."""
    rng, rate = take.rng, take.rate
    tight = take.strength("belt_tension")
    speed = take.pace(0.03, 0.28)
    drift = 0.005 + 0.03 * take.strength("under_voltage")
    phase = shaft_phase(take, unit.motor_hz * speed, drift, 2.0)
    roller = phase / unit.roller_ratio
    belt = roller / unit.belt_ratio
    swing = np.sin(roller + rng.uniform(0.0, 6.0))

    mesh = varied(take, unit.mesh, unit.teeth)
    total = harmonics(phase, mesh) * (1.0 + 0.7 * tight * swing) * (1.0 + 0.3 * tight)
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
        total += blows(take, at, rattle * rng.uniform(0.2, 1.2, len(at)), unit.frame)
    if hiss := take.level("over_voltage", -26.0, -6.0):
        total += hiss * (1.0 + np.cos(2 * phase)) * band_noise(take, 3000.0, 7000.0)
    return np.asarray(total)
