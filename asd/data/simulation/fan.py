"""Fan: lines at the blade-pass frequency over broadband flow noise.

The region is that of the real fans of the MIMII data set: shaft at 22.5 Hz and a blade-pass line at
67.4 Hz 20 dB above the noise, flow noise flat to 1 kHz and falling 3 to 9 dB an octave above, level
in 20 ms frames swinging by 1.2 to 2.2 dB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from asd.data.simulation.impacts import Mode, bearing_blows, draw_modes
from asd.data.simulation.machine import Array, Take
from asd.data.simulation.noise import band_noise, gain_wander, shaped_noise, wander
from asd.data.simulation.rotation import audible, decaying_lines, shaft_phase, varied

FLOW_HZ = (63.0, 125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0)
FLOW_DB = (0.0, -1.0, -3.0, -6.0, -9.0, -17.0, -24.0, -33.0)  # density, dB a Hz, as measured


@dataclass(frozen=True)
class Fan:
    """A fan."""

    shaft_hz: float  # turns a second
    blades: int  # number of blades; the blade-pass frequency is ``blades * shaft_hz``
    lines: tuple[complex, ...]  # blade-pass harmonics (rms of the flow noise is 1)
    shaft_line: complex  # residual imbalance at the shaft's own frequency
    flow_db: tuple[float, ...]  # flow noise density at ``FLOW_HZ``, dB
    ball_order: float  # ball passes a turn of its bearing
    housing: tuple[Mode, ...]  # modes of the housing

    causes: ClassVar[dict[str, str]] = {
        "imbalance": "shaft line and its harmonics rise, flow noise beats once a turn",
        "clogging": "stalling flow: noise surges a few times a second and hisses above 1.5 kHz",
        "over_voltage": "runs too fast: every line moves up, flow noise grows, the drive whines",
        "bearing_fault": "blows at the ball-pass frequency ring in the housing",
    }

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """A unit of 1,080 to 1,800 rpm with 3 to 7 blades."""
        shift = np.interp(np.arange(8), [0, 2, 5, 7], 2.5 * rng.standard_normal(4))
        return cls(
            shaft_hz=rng.uniform(18.0, 30.0),
            blades=int(rng.integers(3, 8)),
            lines=decaying_lines(rng, 6, -3.0, 5.0, 2.5),
            shaft_line=decaying_lines(rng, 1, -14.0, 0.0, 2.0)[0],
            flow_db=tuple(float(x) for x in np.array(FLOW_DB) + shift),
            ball_order=rng.uniform(3.05, 4.6),
            housing=draw_modes(rng, 3, 1200.0, 5000.0, 18.0),
        )

    def sound(self, take: Take) -> Array:
        """One take; see ``Machine``."""
        rng = take.rng
        over = take.strength("over_voltage")
        speed = rng.uniform(0.97, 1.03) * (1.0 + (0.04 + 0.16 * over if over > 0 else 0.0))
        hz = self.shaft_hz * speed
        phase = shaft_phase(take, hz, 0.004, 1.0)
        off = take.level("imbalance", -16.0, 4.0)

        lines = varied(take, self.lines, self.blades, 1.5)
        lines[1] = lines.get(1, 0.0) + self.shaft_line * (1.0 + 5.0 * off)
        for order, part in ((2, 0.6), (3, 0.4), (4, 0.25)):
            lines[order] = lines.get(order, 0.0) + part * off * 0.6
        tonal = audible(take, phase, lines, hz)

        tilt = 1.5 * rng.standard_normal()
        density = [db + tilt * (k - 3.5) / 3.5 for k, db in enumerate(self.flow_db)]
        flow = shaped_noise(take, FLOW_HZ, density)
        gust = gain_wander(take, 2.0, 1.0)
        total = tonal + flow * gust * (1.0 + min(1.2, 0.9 * off) * np.cos(phase))
        total *= speed**2.5 * take.gain()

        stall = take.level("clogging", -22.0, -3.0)
        if stall > 0:
            surge = np.clip(wander(take, rng.uniform(3.0, 7.0)), 0.0, None)
            total += stall * surge * band_noise(take, 1500.0, 5500.0)
            total += 4.0 * stall * surge * band_noise(take, 120.0, 700.0)
        whine = take.level("over_voltage", -30.0, -10.0)
        if whine > 0:
            order = round(rng.uniform(38.0, 60.0))
            total += audible(take, phase, {order: whine, 2 * order: whine}, hz)
        knock = take.level("bearing_fault", -12.0, 12.0)
        if knock > 0:
            total += knock * bearing_blows(take, phase, self.ball_order, self.housing)
        return np.asarray(total)
