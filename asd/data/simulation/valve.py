"""Solenoid valve: a click to open, a puff of air, a softer click to close, again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from asd.data.simulation.impacts import Mode, blows, draw_modes
from asd.data.simulation.machine import Array, Take
from asd.data.simulation.noise import band_noise, wander
from asd.data.simulation.rotation import TWO_PI

REST = 0.02  # leakage noise of the seals of a sound valve, rms (an opening click peaks at about 1)


@dataclass(frozen=True)
class Valve:
    """A solenoid valve."""

    period_s: float  # from opening to opening
    duty: float  # part of the period that it is open
    opening: tuple[Mode, ...]  # modes that the armature's blow on its stop excites
    closing: tuple[Mode, ...]  # modes that the plunger's blow on its seat excites
    closing_gain: float  # peak of the closing click (the opening click has 1)
    puff_low_hz: float  # band of the air let through
    puff_high_hz: float  # band of the air let through
    puff_gain: float  # rms of the puff at its start
    puff_s: float  # time constant of the puff
    hum_hz: float  # mains frequency; the coil hums at its double while it is energised
    hum_gain: float  # amplitude of that

    causes: ClassVar[dict[str, str]] = {
        "contamination": "dirt under the plunger: it chatters before it settles",
        "leakage": "air hisses through the closed seat",
        "sticking": "the plunger comes late by a varying time and then grates",
        "coil_fault": "a shaded ring is broken: the plunger buzzes at twice the mains frequency",
    }

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """A unit of 0.3 to 0.6 s a cycle."""
        low = rng.uniform(900.0, 2000.0)
        return cls(
            period_s=rng.uniform(0.30, 0.60),
            duty=rng.uniform(0.3, 0.6),
            opening=draw_modes(rng, 5, 700.0, 6500.0, 14.0),
            closing=draw_modes(rng, 4, 350.0, 4000.0, 10.0),
            closing_gain=rng.uniform(0.35, 0.8),
            puff_low_hz=low,
            puff_high_hz=low * rng.uniform(2.0, 3.0),
            puff_gain=rng.uniform(0.06, 0.2),
            puff_s=rng.uniform(0.02, 0.06),
            hum_hz=50.0,
            hum_gain=rng.uniform(0.01, 0.03),
        )

    def sound(self, take: Take) -> Array:
        """One take; see ``Machine``."""
        rng, n, rate = take.rng, take.samples, take.rate
        period = self.period_s * rng.uniform(0.98, 1.02) * rate
        cycles = int(n / period) + 2
        energised = (np.arange(cycles) - rng.uniform()) * period
        energised = energised + 0.002 * rate * rng.standard_normal(cycles)
        released = energised + self.duty * period
        stick = take.strength("sticking")
        opened = energised + stick * 0.09 * rate * rng.uniform(0.0, 1.0, cycles)
        closed = released + stick * 0.09 * rate * rng.uniform(0.0, 1.0, cycles)

        force = rng.uniform(0.8, 1.2, cycles)
        total = blows(take, opened, force, self.opening)
        force = self.closing_gain * rng.uniform(0.8, 1.2, cycles)
        total += blows(take, closed, force, self.closing)
        time = np.arange(n)
        last = opened[np.clip(np.searchsorted(opened, time) - 1, 0, cycles - 1)]
        age = np.where(time >= last, (time - last) / rate, np.inf)
        air = band_noise(take, self.puff_low_hz, self.puff_high_hz)
        total += air * (REST + self.puff_gain * np.exp(-age / self.puff_s))
        last = energised[np.clip(np.searchsorted(energised, time) - 1, 0, cycles - 1)]
        live = (time >= last) & (time < last + self.duty * period)
        mains = TWO_PI * self.hum_hz * time / rate + rng.uniform(0.0, TWO_PI)
        total += self.hum_gain * live * (np.cos(2 * mains) + 0.5 * np.cos(4 * mains))
        total *= take.gain()

        dirt = take.level("contamination", -14.0, 2.0)
        if dirt > 0:
            bounces = 3 + round(7 * take.strength("contamination"))
            gaps = np.cumsum(rng.uniform(0.004, 0.022, (cycles, bounces)), axis=1) * rate
            fall = 0.85 ** np.arange(bounces) * rng.uniform(0.5, 1.2, (cycles, bounces))
            for first, modes in ((opened, self.opening), (closed, self.closing)):
                total += dirt * blows(take, (first[:, None] + gaps).ravel(), fall.ravel(), modes)
        leak = take.level("leakage", -36.0, -18.0)
        if leak > 0:
            shut = (time < last) | (time >= last + self.duty * period)
            jet = band_noise(take, 2500.0, 6500.0)
            total += leak * jet * shut * (0.7 + np.clip(0.4 * wander(take, 12.0), -0.6, 1))
        grate = take.level("sticking", -24.0, -2.0)
        if grate > 0:
            scrape = np.exp(-age / 0.08) * np.clip(wander(take, 60.0), 0.0, None)
            total += grate * scrape * band_noise(take, 400.0, 2200.0)
        buzz = take.level("coil_fault", -16.0, -1.0)
        if buzz > 0:
            at = np.arange(0.0, n, rate / (2 * self.hum_hz)) + rng.uniform(0.0, 80.0)
            at = at[live[np.minimum(at.astype(np.int64), n - 1)]]
            total += blows(take, at, buzz * rng.uniform(0.3, 1.0, len(at)), self.closing)
        return np.asarray(total)
