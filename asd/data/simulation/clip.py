"""One clip, from its name alone: unit, fault, sound, background, 16-bit samples."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from asd.data.simulation import rotating_machines, stroke_machines
from asd.data.simulation.impacts import Mode, blows, draw_modes, random_instants
from asd.data.simulation.machine import Array, Fault, Take, Unit, amplitude, rms
from asd.data.simulation.noise import Spectrum, shaped_noise, wander, without_infrasound
from asd.data.simulation.rotation import TWO_PI, decaying_lines

if TYPE_CHECKING:
    from asd.data.simulated import Simulated

SOUNDS: dict[str, Callable[[Unit, Take], Array]] = {
    "ToyCar": rotating_machines.toy_car_sound,
    "ToyConveyor": rotating_machines.toy_conveyor_sound,
    "fan": rotating_machines.fan_sound,
    "pump": rotating_machines.pump_sound,
    "slider": stroke_machines.slider_sound,
    "valve": stroke_machines.valve_sound,
}
REFERENCE_TAKES = 8  # normal takes of half a second that set a unit's level


@dataclass(frozen=True)
class PlannedClip:
    """A clip to be made: what tells it from all others of a corpus, and its length."""

    release: str
    machine: str
    id: str
    split: str
    label: int  # 0 normal, 1 anomaly
    index: int
    samples: int

    @property
    def path(self) -> str:
        """POSIX path relative to the corpus folder, named as in DCASE 2020."""
        name = f"{'anomaly' if self.label else 'normal'}_id_{self.id}_{self.index:08d}.wav"
        return f"{self.release}/{self.machine}/{self.split}/{name}"


def generator(*key: str | int) -> np.random.Generator:
    """Random numbers of a key: the same on every machine and in every order of the work."""
    text = "\x1f".join(str(part) for part in key).encode()
    entropy = int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "little")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))


def _cut_normal(rng: np.random.Generator) -> float:
    """A standard normal number, not beyond 2 on either side."""
    return float(np.clip(rng.standard_normal(), -2.0, 2.0))


def _draw_bent(
    rng: np.random.Generator, db: Sequence[float], knots: Sequence[int], spread_db: float
) -> list[float]:
    """Levels about ``db``, shifted by straight lines between random shifts at the knots."""
    shift = np.interp(np.arange(len(db)), knots, spread_db * rng.standard_normal(len(knots)))
    return [float(level) for level in db + shift]


DRAWS: dict[str, Callable[..., Any]] = {
    "uniform": lambda rng, low, high: rng.uniform(low, high),
    "whole": lambda rng, low, high: int(rng.integers(low, high, endpoint=True)),
    "fixed": lambda _, value: value,
    "gain_db": lambda rng, low, high: amplitude(rng.uniform(low, high)),
    "lines": decaying_lines,
    "modes": draw_modes,
    "spectrum": lambda rng, hz, db, tilt, spread_db: Spectrum(
        hz, (np.array(db) + spread_db * rng.standard_normal(len(db))).tolist(), tilt
    ),
    "bent": _draw_bent,
}


@cache
def _machines() -> dict[str, Any]:
    import yaml

    text = files("asd.data.simulation").joinpath("machines.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def causes(machine: str) -> dict[str, str]:
    """What can be wrong with a machine of this type: cause -> what it does to the sound."""
    return dict(_machines()[machine]["causes"])


def draw_unit(seed: int, machine: str, machine_id: str) -> Unit:
    """The unit that bears this ID in the corpus of this seed."""
    rng, settings = generator(seed, "unit", machine, machine_id), _machines()[machine]["unit"]
    return Unit(**{name: DRAWS[kind](rng, *numbers) for name, (kind, *numbers) in settings.items()})


@lru_cache(maxsize=64)
def _unit(corpus: Simulated, machine: str, machine_id: str) -> tuple[Unit, float, float]:
    """A unit, its rms in normal work, and the gain that brings this to the unit's level."""
    unit = draw_unit(corpus.seed, machine, machine_id)
    rng = generator(corpus.seed, "reference", machine, machine_id)
    level = corpus.level_db + corpus.level_spread_db * _cut_normal(rng)
    sound, length = SOUNDS[machine], corpus.rate // 2
    takes = [sound(unit, Take(length, corpus.rate, rng)) for _ in range(REFERENCE_TAKES)]
    normal = rms(np.array(takes))
    return unit, normal, amplitude(level) / normal


def draw_fault(corpus: Simulated, clip: PlannedClip) -> Fault | None:
    """The fault of a clip, None for a normal one; independent of its sound's random numbers."""
    if not clip.label:
        return None
    rng = generator(corpus.seed, "fault", clip.path)
    known = list(causes(clip.machine))
    cause = known[int(rng.integers(len(known)))]
    least, greatest = corpus.strength
    return Fault(cause, round(float(rng.uniform(least, greatest)), 4))


def render(corpus: Simulated, clip: PlannedClip) -> NDArray[np.int16]:
    """The clip's samples, int16 [clip.samples].

    float64 throughout, so that the last bits, in which processors differ, do not reach 16 bits.
    """
    unit, normal, gain = _unit(corpus, clip.machine, clip.id)
    rng = generator(corpus.seed, "clip", clip.path)
    take = Take(clip.samples, corpus.rate, rng, draw_fault(corpus, clip))
    sound = SOUNDS[clip.machine](unit, take)
    snr_db = corpus.snr_db + corpus.snr_spread_db * _cut_normal(rng)
    background = factory_background(take)
    # the ratio refers to normal work: a louder fault does not make the factory louder
    mixed = gain * (sound + background * (normal / amplitude(snr_db)))
    heard = without_infrasound(mixed, corpus.rate)  # of blows: noise has none
    return np.clip(np.rint(heard * 32768.0), -32768, 32767).astype(np.int16)


def factory_background(take: Take) -> Array:
    """Noise of a factory hall, rms 1, [samples].

    A broadband floor that falls with frequency, its tilt and its slow swell drawn anew for each
    clip; up to three lines of other machines between 300 Hz and 3 kHz; now and then a distant
    blow. In the real fan recordings the noise above 4 kHz differs by 10 dB from clip to clip and
    lines between 500 Hz and 3 kHz come and go; the same is drawn here.
    """
    rng = take.rng
    tilt, bulge = 4.0 * rng.standard_normal(), 3.0 * rng.standard_normal()
    floor = shaped_noise(
        take,
        (40.0, 200.0, 900.0, 3000.0, 8000.0),
        (-tilt, 0.0, -6.0 + bulge, -15.0 + 0.5 * tilt, -26.0 + tilt),
    )
    total = floor * wander(take, rng.uniform(0.3, 2.0), gain_db=1.0)
    for _ in range(int(rng.integers(0, 4))):
        hz = 300.0 * 10.0 ** rng.uniform(0.0, 1.0)
        level = amplitude(rng.uniform(-24.0, -10.0)) * (300.0 / hz) ** 0.5
        turning = TWO_PI * hz * np.arange(take.samples) / take.rate
        total += level * np.cos(turning + rng.uniform(0.0, TWO_PI))
    at = random_instants(take, 0.3)
    clank = (
        Mode(rng.uniform(300.0, 900.0), 0.03, 1.0),
        Mode(rng.uniform(900.0, 2500.0), 0.02, 0.6),
    )
    total += blows(take, at, rng.uniform(0.3, 1.5, len(at)), clank)
    return np.asarray(total / rms(total))
