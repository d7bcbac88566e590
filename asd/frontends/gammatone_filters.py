"""Coefficients of the gammatone filter bank, from the ``gammatone`` package."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


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
    biquads: np.ndarray  # [bands, 10], rows as gammatone.filters.make_erb_filters returns them
    coefficients: np.ndarray  # [4, bands]: -B1, -B2, -s, q
    near_one: np.ndarray  # [2, bands]: -g and e = r^2, with g = D(1) = 1 + B1 + B2
    gains: np.ndarray  # [bands]: what the sum of the stages is to be multiplied by
    at_centre: np.ndarray  # [bands]: |D| at the centre frequency


@lru_cache(maxsize=16)
def gammatone_filters(rate: int, bands: int, f_min: float, f_max: float) -> GammatoneFilters:
    """The bank of ``gammatone.gtgram.gtgram``, for any upper frequency.

    Args:
        rate: sampling rate in Hz.
        bands: number of filters.
        f_min: centre of the lowest one in Hz.
        f_max: upper end of the ERB scale in Hz; the highest filter lies one step below it.
    """
    import numpy as np
    from gammatone.filters import erb_space, make_erb_filters

    centres = erb_space(f_min, f_max, bands)[::-1].copy()
    biquads = make_erb_filters(rate, centres)
    b1, b2, gain = biquads[:, 7], biquads[:, 8], biquads[:, 9]
    radius = np.sqrt(b2)
    angle = 2 * np.pi * centres / rate
    s = 8 * (radius * np.sin(angle)) ** 2
    # 1 + b1 + b2 without the loss of digits
    g = (1 - radius) ** 2 + 4 * radius * np.sin(angle / 2) ** 2
    z = np.exp(-1j * angle)
    return GammatoneFilters(
        centres=centres,
        biquads=biquads,
        coefficients=np.stack([-b1, -b2, -s, s**2 / 8]),
        near_one=np.stack([-g, b2]),
        gains=float(rate) ** -4 / gain,
        at_centre=np.abs(1 + b1 * z + b2 * z**2),
    )
