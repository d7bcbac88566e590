"""Machines that move air or water: a fan and a pump, lines of their blades over flow noise.

The fan's region is that of the real fans of the MIMII data set: shaft at 22.5 Hz and a blade-pass
line at 67.4 Hz 20 dB above the noise, flow noise flat to 1 kHz and falling 3 to 9 dB an octave
above, level in 20 ms frames swinging by 1.2 to 2.2 dB. The pump has pulsation at the vane-pass
frequency and the crackle of cavitation.
"""

from __future__ import annotations

import numpy as np

from asd.data.simulation.impacts import bearing_blows, blows, random_instants
from asd.data.simulation.machine import Array, Take, Unit
from asd.data.simulation.noise import band_noise, shaped_noise, wander
from asd.data.simulation.rotation import TWO_PI, harmonics, shaft_phase, varied

FLOW_HZ = (63.0, 125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0)


def fan_sound(unit: Unit, take: Take) -> Array:
    """One take, float64 [take.samples], normal rms of the order of 1."""
    rng = take.rng
    speed = take.pace(0.03, 0.2)
    hz = unit.shaft_hz * speed
    phase = shaft_phase(take, hz, 0.004, 1.0)
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
        force = rng.uniform(0.2, 1.0, len(at))
        total += grit * blows(take, at, force, unit.housing)
    if knock := take.level("bearing_fault", -8.0, 14.0):
        total += knock * bearing_blows(take, phase, unit.ball_order, unit.housing)
    return np.asarray(total)


def _crackle(unit: Unit, take: Take, per_second: float, gain: float) -> Array:
    """Bubbles collapsing at random instants, exponential strengths."""
    at = random_instants(take, per_second)
    force = gain * take.rng.exponential(1.0, len(at))
    return blows(take, at, force, unit.bubble)
