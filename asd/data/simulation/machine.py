"""What a machine model is: a unit drawn once, and takes of it, sound or faulty.

The primitives of sound are here as methods of a take, which has its length, rate and randomness.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

import numpy as np

from asd.data.simulation import impacts, noise, rotation
from asd.data.simulation.noise import Array, amplitude


@dataclass(frozen=True)
class Fault:
    """A named cause and its strength from 0 (not to be told from normal) to 1 (clear)."""

    cause: str
    strength: float


@dataclass(frozen=True)
class Take:
    """One recording to be made.

    Attributes:
        samples: length.
        rate: Hz.
        rng: the take's own source of random numbers.
        fault: None for a normal take.
    """

    samples: int
    rate: int
    rng: np.random.Generator
    fault: Fault | None = None

    def strength(self, cause: str) -> float:
        """Strength of this cause in this take, 0 if the take does not have it."""
        return self.fault.strength if self.fault is not None and self.fault.cause == cause else 0.0

    def level(self, cause: str, weak_db: float, clear_db: float) -> float:
        """Amplitude of what the cause adds: 0 without it, from weak to clear in dB by strength."""
        strength = self.strength(cause)
        return amplitude(weak_db + (clear_db - weak_db) * strength) if strength > 0 else 0.0

    def band_noise(self, low_hz: float, high_hz: float) -> Array:
        """See ``noise.band_noise``."""
        return noise.band_noise(self.rng, self.samples, self.rate, low_hz, high_hz)

    def shaped_noise(self, hz: Iterable[float], db: Iterable[float]) -> Array:
        """See ``noise.shaped_noise``; ``db`` is the level at each of the rising ``hz``."""
        points = list(zip(hz, db, strict=True))
        return noise.shaped_noise(self.rng, self.samples, self.rate, points)

    def wander(self, hz: float) -> Array:
        """See ``noise.wander``."""
        return noise.wander(self.rng, self.samples, self.rate, hz)

    def gain_wander(self, hz: float, spread_db: float) -> Array:
        """See ``noise.gain_wander``."""
        return noise.gain_wander(self.rng, self.samples, self.rate, hz, spread_db)

    def gain(self, spread_db: float = 1.0) -> float:
        """A random gain whose level has this standard deviation in dB."""
        return amplitude(spread_db * self.rng.standard_normal())

    def varied(
        self, lines: Iterable[complex], order: int, spread_db: float = 1.0
    ) -> dict[int, complex]:
        """Lines at ``order`` and its multiples, each with a random gain."""
        return {(k + 1) * order: line * self.gain(spread_db) for k, line in enumerate(lines)}

    def shaft_phase(self, hz: float, drift: float, drift_hz: float) -> Array:
        """See ``rotation.shaft_phase``."""
        return rotation.shaft_phase(self.rng, self.samples, self.rate, hz, drift, drift_hz)

    def harmonics(self, phase: Array, lines: Mapping[int, complex], hz: float) -> Array:
        """Those lines of a shaft of mean speed ``hz`` that the rate allows for, [samples]."""
        return rotation.harmonics(phase, rotation.audible_orders(lines, hz, self.rate))

    def instants(self, per_second: float) -> Array:
        """See ``impacts.random_instants``."""
        return impacts.random_instants(self.rng, self.samples, self.rate, per_second)

    def blows(self, at: Array, force: Array, modes: Sequence[impacts.Mode]) -> Array:
        """Blows at fractional sample positions, of these peak amplitudes, ringing in the modes."""
        return impacts.blows(self.samples, at, force, impacts.ring(modes, self.rate))


class Machine(Protocol):
    """A unit of a machine type. Its fields are what differs from unit to unit."""

    causes: ClassVar[dict[str, str]]  # cause -> what it does to the sound

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """A unit."""

    def sound(self, take: Take) -> Array:
        """Sound of one take, float64 [take.samples], normal rms of the order of 1."""
