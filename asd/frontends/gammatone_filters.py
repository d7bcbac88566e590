"""The gammatone filter bank: its settings, and its coefficients from the ``gammatone`` package."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from asd.frontends.frontend import check_settings, top_frequency
from asd.options import check_number

if TYPE_CHECKING:
    import numpy as np

# Bands whose |D| at the centre frequency is smaller than this have poles so close to 1 that
# coefficients in float32 err by more than about 0.001 dB; the kernel's other form then is used.
SENSITIVE_BELOW = 2e-3


@dataclass(frozen=True)
class GammatoneSettings:
    """What the two gammatone front ends share.

    Attributes:
        rate: sampling rate in Hz.
        bands: number of filters.
        window_seconds: length of a window.
        hop_seconds: time from one frame to the next.
        f_min: centre frequency of the lowest filter in Hz.
        f_max: upper end of the ERB scale in Hz; null is half the rate.
        eps: added before the logarithm, so that silence is finite.

    Raises:
        AsdError: a setting cannot work; names it.
    """

    rate: int = 16000
    bands: int = 64
    window_seconds: float = 0.04
    hop_seconds: float = 0.02
    f_min: float = 0.0
    f_max: float | None = None
    eps: float = 2.220446049250313e-16

    def __post_init__(self) -> None:
        check_settings(self.rate, self.bands, self.f_min, self.f_max, self.eps)
        check_number("frontend.window_seconds", self.window_seconds, 1.5 / self.rate)  # 2 samples
        check_number("frontend.hop_seconds", self.hop_seconds, 0.5 / self.rate)  # 1 sample

    @property
    def window(self) -> int:
        """Length of a window in samples, halves rounded up as ``gammatone.gtgram`` does."""
        return math.floor(self.window_seconds * self.rate + 0.5)

    @property
    def hop(self) -> int:
        """Samples from one frame to the next, rounded likewise."""
        return math.floor(self.hop_seconds * self.rate + 0.5)

    def centre_frequencies(self) -> np.ndarray:
        """Centre frequencies in Hz, float64 [bands], ascending.

        Those of ``gammatone.gtgram.gtgram``, for any upper frequency; the highest lies one step of
        the scale below that.
        """
        from gammatone.filters import erb_space

        top = top_frequency(self.rate, self.f_max)
        centres: np.ndarray = erb_space(float(self.f_min), top, self.bands)[::-1].copy()
        return centres


@dataclass(frozen=True)
class FilterBank:
    """A bank in the form that the kernel uses, in its precision, lowest frequency first.

    The package gives four biquads with one denominator ``D = 1 + B1 z^-1 + B2 z^-2`` (Slaney,
    Apple technical report 35). With ``B1 = -2 r cos w`` and ``B2 = r^2``, their numerators
    divided by T are, two and two multiplied, ``D - (4 +- sqrt 8) (r sin w)^2 z^-2``. So the
    whole filter divided by T^4 is ``1/D^2 - s z^-2 / D^3 + q z^-4 / D^4`` with
    ``s = 8 (r sin w)^2`` and ``q = s^2 / 8``.

    Bands are padded to whole vectors with filters that do nothing.
    """

    coefficients: np.ndarray  # [4, padded bands]: -B1, -B2, -s, q
    near_one: np.ndarray  # [2, padded bands]: -g and e = r^2, with g = D(1) = 1 + B1 + B2
    sensitive: int  # the lowest bands for which near_one is used
    gains: np.ndarray  # [padded bands]: what the root of a window's energy is to be multiplied by


@lru_cache(maxsize=16)
def filter_bank(settings: GammatoneSettings, precision: str) -> FilterBank:
    """The bank of these settings in float32 or float64."""
    import numpy as np
    from gammatone.filters import make_erb_filters

    from asd.frontends.gammatone_kernel import VECTOR_BYTES

    centres = settings.centre_frequencies()
    biquads = make_erb_filters(settings.rate, centres)
    b1, b2, gain = biquads[:, 7], biquads[:, 8], biquads[:, 9]
    radius = np.sqrt(b2)
    angle = 2 * np.pi * centres / settings.rate
    s = 8 * (radius * np.sin(angle)) ** 2
    # 1 + b1 + b2 without the loss of digits
    g = (1 - radius) ** 2 + 4 * radius * np.sin(angle / 2) ** 2
    z = np.exp(-1j * angle)
    lanes = VECTOR_BYTES // np.dtype(precision).itemsize
    padding = -settings.bands % lanes

    def fill(*rows: np.ndarray) -> np.ndarray:
        return np.pad(np.stack(rows), ((0, 0), (0, padding))).astype(precision)

    close = np.flatnonzero(np.abs(1 + b1 * z + b2 * z**2) < SENSITIVE_BELOW)
    sensitive = precision == "float32" and close.size > 0
    return FilterBank(
        coefficients=fill(-b1, -b2, -s, s**2 / 8),
        near_one=fill(-g, b2),
        sensitive=(int(close[-1]) // lanes + 1) * lanes if sensitive else 0,
        gains=fill(float(settings.rate) ** -4 / gain / np.sqrt(settings.window))[0],
    )
