"""Simulated faults for recordings of machines that nobody has broken: a test without labels.

Faults of the simulated corpus, made to act on a clip. How they sound on the user's machine is a
guess: an AUC on them ranks detectors, and is no estimate of the true one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asd.data.simulation.impacts import Mode, bearing_blows, blows, draw_modes, random_instants
from asd.data.simulation.machine import Array, Take, amplitude, rms
from asd.data.simulation.noise import band_noise, wander
from asd.data.simulation.rotation import harmonics, shaft_phase
from asd.errors import AsdError
from asd.options import check_choice, check_number, check_whole


def _shaft(take: Take) -> Array:
    return shaft_phase(take, take.rng.uniform(8.0, 60.0), 0.004, 1.0)


def _modes(take: Take) -> tuple[Mode, ...]:
    return draw_modes(take.rng, 4, 800.0, 0.45 * take.rate, 40.0)


def bearing(take: Take, wave: Array) -> Array:
    """A flaw in a rolling bearing: a blow each time that a ball passes it."""
    return bearing_blows(take, _shaft(take), take.rng.uniform(3.0, 6.0), _modes(take))


def imbalance(take: Take, wave: Array) -> Array:
    """Lines at a shaft's speed, and the machine's own sound swinging with it."""
    phase = _shaft(take)
    lines = harmonics(phase, {1: 1.0, 2: 0.5, 3: 0.3})
    return np.asarray(lines * rms(wave) + wave * np.cos(phase))


def leak(take: Take, wave: Array) -> Array:
    """A jet: a band of high noise that spits."""
    high = 0.42 * take.rate
    spit = 0.5 + np.clip(wander(take, 9.0), -0.4, 3.0)
    return np.asarray(spit * band_noise(take, take.rng.uniform(0.3, 0.6) * high, high))


def knocks(take: Take, wave: Array) -> Array:
    """Something loose: blows now and then."""
    at = random_instants(take, take.rng.uniform(2.0, 8.0))
    at = at if len(at) else take.rng.uniform(0.0, take.samples, 1)
    return blows(take, at, take.rng.uniform(0.3, 1.0, len(at)), _modes(take))


def timing(take: Take, wave: Array) -> Array:
    """The machine at a wrong pace: the clip 3 to 10 % faster, in place of itself."""
    at = np.arange(take.samples) * take.rng.uniform(1.03, 1.10)
    return np.asarray(np.interp(at % (take.samples - 1), np.arange(take.samples), wave) - wave)


def loss(take: Take, wave: Array) -> Array:
    """Sound that is missing for a third of the clip: work that is not done."""
    length = take.samples // 3
    start = int(take.rng.integers(take.samples - length))
    gone = np.zeros(take.samples)
    gone[start : start + length] = -wave[start : start + length]
    return gone


FAULTS: dict[str, Callable[[Take, Array], Array]] = {
    one.__name__: one for one in (bearing, imbalance, leak, knocks, timing, loss)
}
# Those that change the clip's sound itself, as strongly as they do.
_WHOLE = ("timing", "loss")


@dataclass(frozen=True)
class ProxyOptions:
    """See ``proxy`` in ``conf/config.yaml``; ``AsdError`` names one that cannot be."""

    faults: Sequence[str]
    level_db: Sequence[float]
    copies: int
    chooses_epoch: bool

    def __post_init__(self) -> None:
        if not isinstance(self.faults, list | tuple):
            raise AsdError(f"proxy.faults={self.faults}: must be a list, of {', '.join(FAULTS)}")
        for name in self.faults:
            check_choice("proxy.faults", name, tuple(FAULTS))
        if not isinstance(self.level_db, list | tuple) or len(self.level_db) != 2:
            raise AsdError(f"proxy.level_db={self.level_db}: must be two levels, weakest first")
        check_number("proxy.level_db", self.level_db[0], -80, 40)
        check_number("proxy.level_db", self.level_db[1], self.level_db[0], 40)
        check_whole("proxy.copies", self.copies, 1)
        check_choice("proxy.chooses_epoch", self.chooses_epoch, (True, False))
        if self.chooses_epoch and not self.faults:
            raise AsdError("proxy.chooses_epoch=true: needs proxy.faults=[...] (docs/search.md)")


def with_fault(
    wave: NDArray[np.float32], rate: int, fault: str, level_db: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """A clip [samples] of a machine in normal work as if it had a fault, one of ``FAULTS``.

    Args:
        rate: in Hz.
        level_db: of what the fault adds, against the clip (rms); of ``timing`` and ``loss``, which
            change the clip itself, at most 0 counts: 0 is all of it.
        rng: draws what the fault is like.
    """
    clip = wave.astype(np.float64)
    change = FAULTS[fault](Take(len(clip), rate, rng), clip)
    if fault in _WHOLE:
        change = change * amplitude(min(level_db, 0.0))
    elif (size := rms(change)) > 0:
        change = change * (amplitude(level_db) * rms(clip) / size)
    return np.asarray(clip + change, dtype=np.float32)
