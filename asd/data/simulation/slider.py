"""Slide rail: a carriage that goes to and fro, with whine and friction that follow its speed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from asd.data.simulation.impacts import Mode, blows, draw_modes
from asd.data.simulation.machine import Array, Take, amplitude
from asd.data.simulation.noise import band_noise, draw_levels, gain_wander, shaped_noise, wander
from asd.data.simulation.rotation import TWO_PI, audible, decaying_lines, harmonics, varied

FRICTION_HZ = (250.0, 1000.0, 4000.0, 8000.0)
TILT = np.array((-1.0, 0.0, 1.0, 1.0))  # how much of a take's tilt in dB each gets


@dataclass(frozen=True)
class Slider:
    """A slide rail driven by a stepper motor and a belt."""

    stroke_s: float  # time from one end to the other, dwell included
    ramp: float  # part of a stroke for each of speeding up and braking
    dwell: float  # part of a stroke at rest
    motor_hz: float  # step frequency at full speed
    lines: tuple[complex, ...]  # harmonics of the step frequency (friction at full speed: rms 1)
    friction_db: tuple[float, ...]  # friction noise density at ``FRICTION_HZ``, dB
    back_gain: float  # level of the way back
    stop: tuple[Mode, ...]  # modes of the frame, struck at the ends
    stop_gain: float  # peak of that blow
    squeal_hz: float  # stick-slip frequency of the dry rail

    causes: ClassVar[dict[str, str]] = {
        "rail_damage": "a knock and a scrape each time that the carriage passes the damaged place",
        "no_grease": "stick-slip: a rough squeal and scrape that sweep with the speed",
        "loose_belt": "the belt slaps at each reversal and the whine wavers",
    }

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """A unit of 0.4 to 0.75 s a stroke."""
        return cls(
            stroke_s=rng.uniform(0.40, 0.75),
            ramp=rng.uniform(0.12, 0.25),
            dwell=rng.uniform(0.08, 0.2),
            motor_hz=rng.uniform(320.0, 800.0),
            lines=decaying_lines(rng, 5, 1.0, 5.0, 3.0),
            friction_db=draw_levels(rng, [-4.0, 0.0, -8.0, -18.0], 2.5),
            back_gain=amplitude(rng.uniform(-4.0, 0.0)),
            stop=draw_modes(rng, 4, 110.0, 1500.0, 9.0),
            stop_gain=rng.uniform(2.0, 5.0),
            squeal_hz=rng.uniform(900.0, 2200.0),
        )

    def sound(self, take: Take) -> Array:
        """One take; see ``Machine``."""
        rng, n, rate = take.rng, take.samples, take.rate
        pace = self.stroke_s * rng.uniform(0.97, 1.03) * rate
        strokes = (np.arange(n) + rng.uniform(0.0, 2.0) * pace) / pace
        number = np.floor(strokes)
        back = number % 2 == 1
        move = np.minimum((strokes - number) / (1.0 - self.dwell), 1.0)
        speed = np.clip(np.minimum(move, 1.0 - move) / self.ramp, 0.0, 1.0)
        gain = np.where(back, self.back_gain, 1.0)

        loose = take.strength("loose_belt")
        waver = 1.0 + 0.004 * wander(take, 2.0)
        if loose > 0:
            beat = rng.uniform(14.0, 30.0)
            waver = waver + (0.01 + 0.07 * loose) * np.sin(TWO_PI * beat * np.arange(n) / rate)
        hz = self.motor_hz * rng.uniform(0.985, 1.015)
        phase = rng.uniform(0.0, TWO_PI) + TWO_PI * np.cumsum(hz * speed * waver) / rate
        total = np.sqrt(speed) * audible(take, phase, varied(take, self.lines), hz)
        density = np.add(self.friction_db, rng.standard_normal() * TILT)
        friction = shaped_noise(take, FRICTION_HZ, density)
        total += speed * friction * gain_wander(take, 6.0, 1.0)
        total *= gain
        ends = np.flatnonzero((move[1:] >= 1.0) & (move[:-1] < 1.0)).astype(np.float64)
        thump = self.stop_gain * rng.uniform(0.6, 1.3, len(ends))
        total += blows(take, ends, thump, self.stop)
        total *= take.gain()

        slap = take.level("loose_belt", 8.0, 26.0)
        if slap > 0:
            starts = np.flatnonzero((speed[1:] > 0) & (speed[:-1] <= 0)).astype(np.float64)
            at = np.concatenate([starts + d * rate for d in (0.012, 0.035, 0.07)])
            force = slap * rng.uniform(0.3, 1.0, len(at))
            flap = (Mode(2.2 * self.motor_hz, 0.006, 1.0), Mode(5.1 * self.motor_hz, 0.004, 0.8))
            total += blows(take, at, force, flap)
        click = take.level("rail_damage", 4.0, 24.0)
        if click > 0:
            place = rng.uniform(0.25, 0.75)
            where = np.where(back, 1.0 - move, move)
            rough_part = np.clip(1.0 - np.abs(where - place) / 0.12, 0.0, None) * speed
            total += 0.3 * click * rough_part * band_noise(take, 1200.0, 6500.0)
            at = np.flatnonzero((where[1:] < place) != (where[:-1] < place)).astype(np.float64)
            at = at[speed[at.astype(np.int64)] > 0]  # not the jump between two strokes
            hit = (Mode(1900.0, 0.004, 1.0), Mode(3400.0, 0.003, 0.8), Mode(5600.0, 0.002, 0.6))
            at = np.concatenate([at, at + 0.011 * rate])
            total += blows(take, at, click * rng.uniform(0.5, 1.0, len(at)), hit)
        dry = take.level("no_grease", -14.0, 10.0)
        if dry > 0:
            pitch = self.squeal_hz * rng.uniform(0.85, 1.15) * (0.6 + 0.5 * speed)
            pitch = pitch * (1.0 + 0.03 * wander(take, 25.0))
            squeal = harmonics(TWO_PI * np.cumsum(pitch) / rate, {1: 1.0, 2: 0.6, 3: 0.35})
            rough = np.clip(0.4 + wander(take, 18.0), 0.0, None)
            scrape = band_noise(take, 1500.0, 7000.0)
            total += dry * rough * speed * (squeal + 0.5 * scrape)
        return np.asarray(total)
