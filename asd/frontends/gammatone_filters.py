"""The gammatone filter bank: its settings, and its coefficients from the ``gammatone`` package."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asd.frontends.frontend import check_settings, top_frequency
from asd.options import check_number

if TYPE_CHECKING:
    import numpy as np


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
        for option in ("window_seconds", "hop_seconds"):  # half a sample is rounded up to one
            check_number(f"frontend.{option}", getattr(self, option), 0.5 / self.rate)

    @property
    def window(self) -> int:
        """Length of a window in samples, halves rounded up as ``gammatone.gtgram`` does."""
        return math.floor(self.window_seconds * self.rate + 0.5)

    @property
    def hop(self) -> int:
        """Samples from one frame to the next, rounded likewise."""
        return math.floor(self.hop_seconds * self.rate + 0.5)

    def filters(self) -> GammatoneFilters:
        """The bank of ``gammatone.gtgram.gtgram``, for any upper frequency.

        The highest filter lies one step of the scale below that.
        """
        import numpy as np
        from gammatone.filters import erb_space, make_erb_filters

        top = top_frequency(self.rate, self.f_max)
        centres = erb_space(float(self.f_min), top, self.bands)[::-1].copy()
        biquads = make_erb_filters(self.rate, centres)
        b1, b2, gain = biquads[:, 7], biquads[:, 8], biquads[:, 9]
        radius = np.sqrt(b2)
        angle = 2 * np.pi * centres / self.rate
        s = 8 * (radius * np.sin(angle)) ** 2
        # 1 + b1 + b2 without the loss of digits
        g = (1 - radius) ** 2 + 4 * radius * np.sin(angle / 2) ** 2
        z = np.exp(-1j * angle)
        return GammatoneFilters(
            centres=centres,
            coefficients=np.stack([-b1, -b2, -s, s**2 / 8]),
            near_one=np.stack([-g, b2]),
            gains=float(self.rate) ** -4 / gain,
            at_centre=np.abs(1 + b1 * z + b2 * z**2),
        )

    def centre_frequencies(self) -> np.ndarray:
        """Centre frequencies in Hz, float64 [bands], ascending."""
        return self.filters().centres


@dataclass(frozen=True)
class GammatoneFilters:
    """A bank in the form that the kernel uses; all float64, lowest frequency first.

    The package gives four biquads with one denominator ``D = 1 + B1 z^-1 + B2 z^-2`` (Slaney,
    Apple technical report 35). With ``B1 = -2 r cos w`` and ``B2 = r^2``, their numerators
    divided by T are, two and two multiplied, ``D - (4 +- sqrt 8) (r sin w)^2 z^-2``. So the
    whole filter divided by T^4 is ``1/D^2 - s z^-2 / D^3 + q z^-4 / D^4`` with
    ``s = 8 (r sin w)^2`` and ``q = s^2 / 8``.
    """

    centres: np.ndarray  # [bands], Hz
    coefficients: np.ndarray  # [4, bands]: -B1, -B2, -s, q
    near_one: np.ndarray  # [2, bands]: -g and e = r^2, with g = D(1) = 1 + B1 + B2
    gains: np.ndarray  # [bands]: what the sum of the stages is to be multiplied by
    at_centre: np.ndarray  # [bands]: |D| at the centre frequency
