"""Toy conveyor: a geared motor, rollers, and a belt whose joint comes round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from asd.data.simulation.impacts import Mode, blows, draw_modes
from asd.data.simulation.machine import Array, Take
from asd.data.simulation.noise import band_noise, draw_levels, gain_wander, shaped_noise, wander
from asd.data.simulation.rotation import (
    audible,
    decaying_lines,
    harmonics,
    passings,
    shaft_phase,
    varied,
)

RUB_HZ = (125.0, 500.0, 1500.0, 4000.0, 8000.0)
TILT = np.array((-1.0, -0.5, 0.0, 0.5, 1.0))  # how much of a take's tilt in dB each gets


@dataclass(frozen=True)
class ToyConveyor:
    """A toy conveyor belt."""

    motor_hz: float  # motor turns a second at the nominal voltage
    teeth: int  # teeth of the pinion
    roller_ratio: float  # turns of the motor for one of a roller
    belt_ratio: float  # turns of a roller for one of the belt
    mesh: tuple[complex, ...]  # mesh harmonics (rms of the belt's noise is 1)
    rub_db: tuple[float, ...]  # belt noise density at ``RUB_HZ``, dB
    rumble: float  # depth of the belt noise's modulation by the rollers
    frame: tuple[Mode, ...]  # modes of the frame
    joint_gain: float  # peak of the blow of the belt's joint on a roller
    squeak_hz: float  # pitch of a dry pulley

    causes: ClassVar[dict[str, str]] = {
        "attached_object": "something hard on the belt strikes each roller as it comes round",
        "tail_pulley": "the tail pulley runs dry and squeaks once a turn",
        "belt_tension": "too tight: the gears growl in the rollers' rhythm and the frame rattles",
        "over_voltage": "everything turns faster and louder, the motor hisses",
        "under_voltage": "everything turns slower, the belt slips and grabs",
    }

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """A unit of 2,400 to 4,500 rpm."""
        return cls(
            motor_hz=rng.uniform(40.0, 75.0),
            teeth=int(rng.integers(9, 15)),
            roller_ratio=rng.uniform(7.0, 11.0),
            belt_ratio=rng.uniform(3.5, 5.5),
            mesh=decaying_lines(rng, 6, -1.0, 3.0, 3.0),
            rub_db=draw_levels(rng, [-8.0, -1.0, 0.0, -7.0, -16.0], 2.0),
            rumble=rng.uniform(0.1, 0.3),
            frame=draw_modes(rng, 4, 250.0, 2200.0, 9.0),
            joint_gain=rng.uniform(1.5, 3.5),
            squeak_hz=rng.uniform(1400.0, 2800.0),
        )

    def sound(self, take: Take) -> Array:
        """One take; see ``Machine``."""
        rng, rate = take.rng, take.rate
        over, under = take.strength("over_voltage"), take.strength("under_voltage")
        tight = take.strength("belt_tension")
        speed = rng.uniform(0.97, 1.03) * (1.0 + 0.28 * over - 0.28 * under)
        hz = self.motor_hz * speed
        phase = shaft_phase(take, hz, 0.005 + 0.03 * under, 2.0)
        roller = phase / self.roller_ratio
        belt = roller / self.belt_ratio
        swing = np.sin(roller + rng.uniform(0.0, 6.0))

        mesh = varied(take, self.mesh, self.teeth)
        growl = 1.0 + 0.7 * tight * swing
        total = audible(take, phase, mesh, hz) * growl * (1.0 + 0.3 * tight)
        density = np.add(self.rub_db, rng.standard_normal() * TILT)
        rub = shaped_noise(take, RUB_HZ, density)
        total += rub * (1.0 + self.rumble * swing) * gain_wander(take, 3.0, 0.8)
        joint = passings(belt, 2.0, rng.uniform())  # over the head and over the tail roller
        force = self.joint_gain * rng.uniform(0.7, 1.2, len(joint))
        total += blows(take, joint, force, self.frame)
        total *= max(speed, 1.0) ** 2 * take.gain()

        clank = take.level("attached_object", 0.0, 24.0)
        if clank > 0:
            at = passings(belt, 2.0, rng.uniform())
            at = np.concatenate([at, at + 0.03 * rate, at + 0.055 * rate])
            metal = (Mode(2300.0, 0.02, 1.0), Mode(3900.0, 0.015, 0.8), Mode(5700.0, 0.01, 0.5))
            total += blows(take, at, clank * rng.uniform(0.3, 1.0, len(at)), metal)
        dry = take.level("tail_pulley", -20.0, 8.0)
        if dry > 0:
            gate = np.clip(np.cos(roller + rng.uniform(0.0, 6.0)) - 0.2, 0.0, None)
            pitch = self.squeak_hz * (1.0 + 0.12 * gate + 0.01 * wander(take, 20.0))
            tone = harmonics(6.2831853 * np.cumsum(pitch) / rate, {1: 1.0, 2: 0.5})
            total += dry * 1.5 * gate * tone
        rattle = take.level("belt_tension", -24.0, -2.0)
        if rattle > 0:
            at = passings(roller, 5.0, rng.uniform())
            at = at + 0.008 * rate * rng.standard_normal(len(at))
            force = rattle * rng.uniform(0.2, 1.2, len(at))
            total += blows(take, at, force, self.frame)
        hiss = take.level("over_voltage", -26.0, -6.0)
        if hiss > 0:
            total += hiss * (1.0 + np.cos(2 * phase)) * band_noise(take, 3000.0, 7000.0)
        slip = take.level("under_voltage", -12.0, 12.0)
        if slip > 0:
            grab = np.clip(wander(take, 6.0), 0.0, None)
            total += slip * grab * band_noise(take, 500.0, 2500.0)
        return np.asarray(total)
