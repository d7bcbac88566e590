"""What every front end offers, and the checks that they share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from asd.errors import AsdError

if TYPE_CHECKING:
    import numpy as np


@runtime_checkable
class FrontEnd(Protocol):
    """From a clip's samples to features. To add one: a frozen dataclass with these members, whose
    fields are all its settings, and a file in ``conf/frontend/``.

    ``name``, ``version`` and the fields together are the key under which features are stored;
    ``version`` goes up whenever the numbers change with the fields unchanged.
    """

    @property
    def name(self) -> str:
        """Short name, as in ``conf/frontend/<name>.yaml``."""

    @property
    def version(self) -> int:
        """Counts the changes of the numbers that this class computes."""

    @property
    def rate(self) -> int:
        """Sampling rate of the clips in Hz."""

    @property
    def bands(self) -> int:
        """Values in a frame."""

    @property
    def hop_seconds(self) -> float:
        """Time from one frame to the next."""

    def n_frames(self, samples: int) -> int:
        """Frames that ``features`` returns for a clip of so many samples.

        Raises:
            AsdError: the clip is shorter than one window.
        """

    def features(self, wave: np.ndarray) -> np.ndarray:
        """Features of one clip in dB.

        May be called from several threads at once.

        Args:
            wave: [samples], floating point, in [-1, 1].

        Returns:
            float32 [frames, bands], C-contiguous, lowest frequency first.

        Raises:
            AsdError: not one channel of finite numbers, or shorter than one window.
        """

    def centre_frequencies(self) -> np.ndarray:
        """Centre frequencies in Hz, float64 [bands], ascending."""


def check_at_least(option: str, value: float, least: float) -> None:
    """Refuse a number that is below the least one, or not finite.

    Raises:
        AsdError: names the option.
    """
    if not math.isfinite(value) or value < least:
        raise AsdError(f"frontend.{option}={value}: must be at least {least:g}")


def check_above_zero(option: str, value: float) -> None:
    """Refuse zero, a negative number, and one that is not finite.

    Raises:
        AsdError: names the option.
    """
    if not math.isfinite(value) or value <= 0:
        raise AsdError(f"frontend.{option}={value}: must be above 0")


def check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a word that is not among the choices.

    Raises:
        AsdError: names the option and the choices.
    """
    if value not in choices:
        raise AsdError(f"frontend.{option}={value}: must be one of {', '.join(choices)}")


def check_band_edges(rate: int, f_min: float, f_max: float | None) -> float:
    """Refuse a frequency range that is empty or reaches above half the sampling rate.

    Returns:
        f_max in Hz, where it is not given half the sampling rate.

    Raises:
        AsdError: names the option.
    """
    check_at_least("f_min", f_min, 0)
    top = rate / 2 if f_max is None else float(f_max)
    check_above_zero("f_max", top)
    if top > rate / 2:
        raise AsdError(f"frontend.f_max={f_max}: above half the rate, {rate / 2:g} Hz")
    if f_min >= top:
        raise AsdError(f"frontend.f_min={f_min}: must be below f_max, {top:g} Hz")
    return top


def samples_of(option: str, seconds: float, rate: int) -> int:
    """A time in samples, halves rounded up (as ``gammatone.gtgram.gtgram_strides`` does).

    Raises:
        AsdError: the time is not at least one sample; names the option.
    """
    check_above_zero(option, seconds)
    samples = math.floor(seconds * rate + 0.5)
    if samples < 1:
        raise AsdError(f"frontend.{option}={seconds}: shorter than one sample at {rate} Hz")
    return samples


def check_length(samples: int, needed: int, rate: int) -> None:
    """Refuse a clip that is shorter than one window.

    Raises:
        AsdError: says both lengths.
    """
    if samples < needed:
        raise AsdError(
            f"clip of {samples} samples is too short: one window takes {needed} samples "
            f"({needed / rate:g} s at {rate} Hz)"
        )


def check_wave(wave: np.ndarray, needed: int, rate: int) -> None:
    """Refuse what is not one channel of at least ``needed`` finite floating-point samples.

    Raises:
        AsdError: says what is wrong.
    """
    import numpy as np

    if wave.ndim != 1:
        raise AsdError(f"clip has the shape {wave.shape}: one channel is needed, [samples]")
    if not np.issubdtype(wave.dtype, np.floating):
        raise AsdError(f"clip is {wave.dtype}: floating point in [-1, 1] is needed")
    check_length(wave.shape[0], needed, rate)
    if not np.isfinite(wave).all():
        raise AsdError("clip has samples that are not numbers (NaN or infinite)")
