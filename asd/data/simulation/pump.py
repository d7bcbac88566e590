"""Pump: pulsation at the vane-pass frequency, flow noise, and the crackle of cavitation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from asd.data.simulation.impacts import Mode, bearing_blows, blows, draw_modes, random_instants
from asd.data.simulation.machine import Array, Take
from asd.data.simulation.noise import band_noise, gain_wander, shaped_noise, wander
from asd.data.simulation.rotation import TWO_PI, audible, decaying_lines, shaft_phase, varied


@dataclass(frozen=True)
class Pump:
    """A water pump."""

    shaft_hz: float  # turns a second
    vanes: int  # number of vanes; pulsation is at ``vanes * shaft_hz``
    lines: tuple[complex, ...]  # pulsation harmonics (rms of the flow noise is 1)
    hum: tuple[complex, ...]  # motor hum at the shaft's frequency and its double
    pipe_hz: float  # frequency at which the pipe favours the flow noise
    pipe_db: float  # by how much
    bubbles_per_s: float  # collapsing bubbles a second in normal work
    bubble: tuple[Mode, ...]  # modes that a collapse excites
    ball_order: float  # ball passes a turn of its bearing
    housing: tuple[Mode, ...]  # modes of the housing

    causes: ClassVar[dict[str, str]] = {
        "leakage": "a jet hisses between 2.5 and 7 kHz and spits",
        "contamination": "grains strike the casing in bursts",
        "clogging": "speed sags and hunts, pulsation deepens, cavitation crackles",
        "bearing_fault": "blows at the ball-pass frequency ring in the housing",
    }

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """A unit of 1,400 to 2,900 rpm with 4 to 7 vanes."""
        return cls(
            shaft_hz=rng.uniform(23.0, 48.0),
            vanes=int(rng.integers(4, 8)),
            lines=decaying_lines(rng, 7, -2.0, 3.5, 3.0),
            hum=decaying_lines(rng, 2, -8.0, 4.0, 3.0),
            pipe_hz=rng.uniform(350.0, 1100.0),
            pipe_db=rng.uniform(5.0, 10.0),
            bubbles_per_s=rng.uniform(20.0, 60.0),
            bubble=draw_modes(rng, 3, 1800.0, 6500.0, 6.0),
            ball_order=rng.uniform(3.05, 5.4),
            housing=draw_modes(rng, 3, 900.0, 4200.0, 16.0),
        )

    def sound(self, take: Take) -> Array:
        """One take; see ``Machine``."""
        rng, n, rate = take.rng, take.samples, take.rate
        clog = take.strength("clogging")
        hz = self.shaft_hz * rng.uniform(0.98, 1.02) * (1.0 - 0.08 * clog)
        phase = shaft_phase(take, hz, 0.003 + 0.02 * clog, 1.5)
        load = take.gain(1.5)

        lines = dict(enumerate(self.hum, start=1))
        for order, line in varied(take, [line * load for line in self.lines], self.vanes).items():
            lines[order] = lines.get(order, 0.0) + line
        tonal = audible(take, phase, lines, hz)
        deep = 1.0 + take.level("clogging", -14.0, -1.0) * np.cos(
            TWO_PI * rng.uniform(3.0, 9.0) * np.arange(n) / rate
        )
        tilt = rng.standard_normal()
        flow = shaped_noise(
            take,
            (60.0, self.pipe_hz * 0.6, self.pipe_hz, self.pipe_hz * 1.6, 4000.0, 8000.0),
            (-6.0 - tilt, -2.0, self.pipe_db, -3.0, -14.0 + tilt, -24.0 + tilt),
        )
        total = tonal * deep + flow * gain_wander(take, 3.0, 0.8)
        total += self._crackle(take, self.bubbles_per_s * load, 0.35)
        total *= take.gain()

        collapse = take.level("clogging", -10.0, 10.0)
        if collapse > 0:
            total += self._crackle(take, 40.0 + 260.0 * clog, 1.2 * collapse)
        jet = take.level("leakage", -26.0, -4.0)
        if jet > 0:
            spit = 0.5 + np.clip(wander(take, 9.0), -0.4, 3.0)
            total += jet * spit * band_noise(take, 2500.0, 7000.0)
        grit = take.level("contamination", -2.0, 18.0)
        if grit > 0:
            burst = random_instants(take, 3.0 + 5.0 * take.strength("contamination"))
            at = np.repeat(burst, 6) + np.abs(rng.normal(0.0, 0.03 * rate, 6 * len(burst)))
            force = rng.uniform(0.2, 1.0, len(at))
            total += grit * blows(take, at, force, self.housing)
        knock = take.level("bearing_fault", -8.0, 14.0)
        if knock > 0:
            total += knock * bearing_blows(take, phase, self.ball_order, self.housing)
        return np.asarray(total)

    def _crackle(self, take: Take, per_second: float, gain: float) -> Array:
        """Bubbles collapsing at random instants, exponential strengths."""
        at = random_instants(take, per_second)
        force = gain * take.rng.exponential(1.0, len(at))
        return blows(take, at, force, self.bubble)
