"""What every front end offers, and the checks that they share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from asd.errors import AsdError
from asd.options import check_number, check_whole

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
        """Frames of so many samples; ``AsdError`` where these are shorter than one window."""

    def features(self, wave: np.ndarray) -> np.ndarray:
        """[samples] floating point in [-1, 1] -> float32 [frames, bands] in dB, C-contiguous.

        The lowest frequency comes first. Several threads may call it at once.

        Raises:
            AsdError: not one channel of finite numbers, or shorter than one window.
        """

    def centre_frequencies(self) -> np.ndarray:
        """Centre frequencies in Hz, float64 [bands], ascending."""


def check_settings(rate: int, bands: int, f_min: float, f_max: float | None, eps: float) -> None:
    """Refuse what no front end can work with, by an AsdError that names the option."""
    check_whole("frontend.rate", rate, 1)
    check_whole("frontend.bands", bands, 1)
    if f_max is not None:
        check_number("frontend.f_max", f_max, 0, rate / 2, above=True)
    check_number("frontend.f_min", f_min, 0)
    if f_min >= top_frequency(rate, f_max):
        raise AsdError(f"frontend.f_min={f_min}: must be below f_max, {f_max or rate / 2:g} Hz")
    check_number("frontend.eps", eps, 0, above=True)


def top_frequency(rate: int, f_max: float | None) -> float:
    """``f_max`` in Hz; half the sampling rate where it is None."""
    return rate / 2 if f_max is None else float(f_max)


def check_length(samples: int, needed: int, rate: int) -> None:
    """Refuse a clip that is shorter than one window, by an AsdError that says both lengths."""
    if samples < needed:
        window = f"one window takes {needed} samples ({needed / rate:g} s at {rate} Hz)"
        raise AsdError(f"clip of {samples} samples is too short: {window}")


def check_wave(frontend: FrontEnd, wave: np.ndarray) -> None:
    """Refuse (AsdError) what is not one channel of enough finite floating-point samples."""
    import numpy as np

    if wave.ndim != 1 or not np.issubdtype(wave.dtype, np.floating):
        raise AsdError(f"clip is {wave.dtype} {list(wave.shape)}: one channel of floats is needed")
    frontend.n_frames(wave.shape[0])
    if not np.isfinite(wave).all():
        raise AsdError("clip has samples that are not numbers (NaN or infinite)")
