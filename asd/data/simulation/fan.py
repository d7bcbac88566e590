"""Fan: lines at the blade-pass frequency over broadband flow noise.

The region is that of the real fans of the MIMII data set: shaft at 22.5 Hz and a blade-pass line at
67.4 Hz 20 dB above the noise, flow noise flat to 1 kHz and falling 3 to 9 dB an octave above, level
in 20 ms frames swinging by 1.2 to 2.2 dB.
"""

from __future__ import annotations

import numpy as np

from asd.data.simulation.impacts import bearing_blows
from asd.data.simulation.machine import Array, Take
from asd.data.simulation.noise import band_noise, gain_wander, shaped_noise, wander
from asd.data.simulation.rotation import audible, shaft_phase, varied
from asd.data.simulation.units import Unit

FLOW_HZ = (63.0, 125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0)


def fan_sound(unit: Unit, take: Take) -> Array:
    """One take, float64 [take.samples], normal rms of the order of 1."""
    rng = take.rng
    over = take.strength("over_voltage")
    speed = rng.uniform(0.97, 1.03) * (1.0 + (0.04 + 0.16 * over if over > 0 else 0.0))
    hz = unit.shaft_hz * speed
    phase = shaft_phase(take, hz, 0.004, 1.0)
    off = take.level("imbalance", -16.0, 4.0)

    lines = varied(take, unit.lines, unit.blades, 1.5)
    lines[1] = lines.get(1, 0.0) + unit.shaft_line[0] * (1.0 + 5.0 * off)
    for order, part in ((2, 0.6), (3, 0.4), (4, 0.25)):
        lines[order] = lines.get(order, 0.0) + part * off * 0.6
    tonal = audible(take, phase, lines, hz)

    tilt = 1.5 * rng.standard_normal()
    density = [db + tilt * (k - 3.5) / 3.5 for k, db in enumerate(unit.flow_db)]
    flow = shaped_noise(take, FLOW_HZ, density)
    gust = gain_wander(take, 2.0, 1.0)
    total = tonal + flow * gust * (1.0 + min(1.2, 0.9 * off) * np.cos(phase))
    total *= speed**2.5 * take.gain()

    if stall := take.level("clogging", -22.0, -3.0):
        surge = np.clip(wander(take, rng.uniform(3.0, 7.0)), 0.0, None)
        total += stall * surge * band_noise(take, 1500.0, 5500.0)
        total += 4.0 * stall * surge * band_noise(take, 120.0, 700.0)
    if whine := take.level("over_voltage", -30.0, -10.0):
        order = round(rng.uniform(38.0, 60.0))
        total += audible(take, phase, {order: whine, 2 * order: whine}, hz)
    if knock := take.level("bearing_fault", -12.0, 12.0):
        total += knock * bearing_blows(take, phase, unit.ball_order, unit.housing)
    return np.asarray(total)
