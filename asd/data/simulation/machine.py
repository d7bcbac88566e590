"""What a machine model is: a unit drawn once, and takes of it, sound or faulty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

import numpy as np

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


class Machine(Protocol):
    """A unit of a machine type. Its fields are what differs from unit to unit."""

    causes: ClassVar[dict[str, str]]  # cause -> what it does to the sound

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Self:
        """A unit."""

    def sound(self, take: Take) -> Array:
        """Sound of one take, float64 [take.samples], normal rms of the order of 1."""
