"""Toy car on a stand: motor whine, gear mesh with its sidebands, wheels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from asd.data.simulation.impacts import Mode, blows, draw_modes
from asd.data.simulation.machine import Array, Take
from asd.data.simulation.noise import band_noise, draw_levels, gain_wander, shaped_noise, wander
from asd.data.simulation.rotation import audible, decaying_lines, passings, shaft_phase, varied

ROLLING_HZ = (125.0, 500.0, 2000.0, 4000.0, 8000.0)
TILT = np.array((-1.0, -0.5, 0.0, 0.5, 1.0))  # how much of a take's tilt in dB each gets


@dataclass(frozen=True)
class ToyCar:
    """A toy car with a brushed motor."""

    motor_hz: float  # motor turns a second at the nominal voltage
    teeth: int  # teeth of the pinion; the mesh frequency is ``teeth * motor_hz``
    ratio: float  # turns of the motor for one of the wheels
    mesh: tuple[complex, ...]  # mesh harmonics (rms of the rolling noise is 1)
    whine: tuple[complex, ...]  # brush noise at 6, 12 and 18 times the motor's frequency
    wobble: float  # depth of the mesh's modulation by the wheels' turning
    rolling_db: tuple[float, ...]  # rolling noise density at ``ROLLING_HZ``, dB
    gearbox: tuple[Mode, ...]  # modes of the gearbox
    body: tuple[Mode, ...]  # modes of the body

    causes: ClassVar[dict[str, str]] = {
        "bent_shaft": "the mesh swings in level and pitch with each turn of the wheels and rattles",
        "deformed_gear": "one bad tooth knocks once a turn of the big gear",
        "tangled_wheel": "a ribbon round the wheel flaps and scrapes once a turn",
        "over_voltage": "everything turns faster and louder, the brushes spark",
        "under_voltage": "everything turns slower and stutters",
    }

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """A unit of 3,300 to 6,000 rpm."""
        return cls(
            motor_hz=rng.uniform(55.0, 100.0),
            teeth=int(rng.integers(8, 12)),
            ratio=rng.uniform(6.0, 9.0),
            mesh=decaying_lines(rng, 5, 0.0, 4.0, 3.0),
            whine=decaying_lines(rng, 3, -6.0, 4.0, 3.0),
            wobble=rng.uniform(0.1, 0.3),
            rolling_db=draw_levels(rng, [-3.0, 0.0, -4.0, -10.0, -20.0], 2.0),
            gearbox=draw_modes(rng, 4, 1000.0, 5000.0, 10.0),
            body=draw_modes(rng, 3, 200.0, 900.0, 7.0),
        )

    def sound(self, take: Take) -> Array:
        """One take; see ``Machine``."""
        rng, rate = take.rng, take.rate
        over, under = take.strength("over_voltage"), take.strength("under_voltage")
        speed = rng.uniform(0.97, 1.03) * (1.0 + 0.28 * over - 0.28 * under)
        hz = self.motor_hz * speed
        phase = shaft_phase(take, hz, 0.006 + 0.02 * under, 2.0)
        wheel = phase / self.ratio
        bent = take.strength("bent_shaft")
        swing = np.sin(wheel + rng.uniform(0.0, 6.0))
        if bent > 0:  # the gears come closer and part: the pitch radius changes with the angle
            phase = phase + bent * 0.45 * swing * self.ratio / self.teeth

        mesh = varied(take, self.mesh, self.teeth)
        whine = {6 * (k + 1): line for k, line in enumerate(self.whine)}
        depth = min(0.95, self.wobble + 0.7 * bent)
        total = audible(take, phase, mesh, hz) * (1.0 + depth * swing)
        total += audible(take, phase, whine, hz)
        density = np.add(self.rolling_db, rng.standard_normal() * TILT)
        rolling = shaped_noise(take, ROLLING_HZ, density)
        total += rolling * gain_wander(take, 4.0, 0.8) * (1.0 + 0.2 * swing)
        total *= max(speed, 1.0) ** 2 * take.gain()

        rattle = take.level("bent_shaft", -22.0, 2.0)
        if rattle > 0:
            at = passings(wheel, 2.0, rng.uniform())
            at = at + 0.01 * rate * rng.standard_normal(len(at))
            force = rattle * rng.uniform(0.3, 1.0, len(at))
            total += blows(take, at, force, self.body)
        knock = take.level("deformed_gear", 4.0, 24.0)
        if knock > 0:
            at = passings(wheel, 1.0, rng.uniform())
            force = knock * rng.uniform(0.6, 1.1, len(at))
            total += blows(take, at, force, self.gearbox)
        flap = take.level("tangled_wheel", -10.0, 11.0)
        if flap > 0:
            gate = np.clip(np.cos(wheel + rng.uniform(0.0, 6.0)), 0.0, None) ** 4
            total += flap * gate * band_noise(take, 900.0, 5000.0)
        spark = take.level("over_voltage", -26.0, -4.0)
        if spark > 0:
            brush = 1.0 + np.cos(6 * phase)
            total += spark * brush * band_noise(take, 3500.0, 7000.0)
        if under > 0:
            stutter = 1.0 - 0.6 * under * np.clip(wander(take, 5.0), 0.0, 1.0)
            total *= stutter
            at = passings(phase, 1.0, rng.uniform())
            force = take.level("under_voltage", 2.0, 24.0) * rng.uniform(0.0, 1.0, len(at))
            total += blows(take, at, force, self.gearbox)
        return np.asarray(total)
