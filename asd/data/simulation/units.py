"""Units: what differs from one machine of a type to the next, drawn as ``machines.yaml`` says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from types import SimpleNamespace
from typing import Any

import numpy as np

from asd.data.simulation.impacts import draw_modes
from asd.data.simulation.machine import amplitude
from asd.data.simulation.noise import Spectrum
from asd.data.simulation.rotation import decaying_lines

Unit = SimpleNamespace  # the settings of one machine ID, by the names of ``machines.yaml``


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


def draw(rng: np.random.Generator, machine: str) -> Unit:
    """A unit of this machine type."""
    settings = _machines()[machine]["unit"].items()
    return Unit(**{name: DRAWS[kind](rng, *numbers) for name, (kind, *numbers) in settings})
