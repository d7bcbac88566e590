"""Units and takes: a machine, and one recording of it to be made, sound or with a fault."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Unit = SimpleNamespace  # the settings of one machine ID, by the names of ``machines.yaml``


def amplitude(db: float) -> float:
    """Amplitude ratio of a level difference in dB."""
    return float(10.0 ** (db / 20.0))


def rms(signal: Array) -> float:
    """Root mean square of a signal of any shape."""
    return float(np.sqrt(np.mean(np.square(signal))))


@dataclass(frozen=True)
class Fault:
    """A named cause and its strength from 0 (not to be told from normal) to 1 (clear)."""

    cause: str
    strength: float


@dataclass(frozen=True)
class Take:
    """One recording to be made."""

    samples: int  # length
    rate: int  # Hz
    rng: np.random.Generator  # the take's own source of random numbers
    fault: Fault | None = None  # None for a normal take

    def strength(self, cause: str) -> float:
        """Strength of this cause in this take, 0 if the take does not have it."""
        return self.fault.strength if self.fault is not None and self.fault.cause == cause else 0.0

    def level(self, cause: str, weak_db: float, clear_db: float) -> float:
        """Amplitude of what the cause adds: 0 without it, from weak to clear in dB by strength."""
        strength = self.strength(cause)
        return amplitude(weak_db + (clear_db - weak_db) * strength) if strength > 0 else 0.0

    def pace(self, spread: float, swing: float) -> float:
        """Speed relative to the nominal one: within ``spread`` of it, and with a wrong voltage up
        to ``swing`` above or below."""
        voltage = self.strength("over_voltage") - self.strength("under_voltage")
        return self.rng.uniform(1.0 - spread, 1.0 + spread) * (1.0 + swing * voltage)

    def gain(self, spread_db: float = 1.0) -> float:
        """A random gain whose level has this standard deviation in dB."""
        return amplitude(spread_db * self.rng.standard_normal())
