"""The gammatone filter bank: its coefficients, from the ``gammatone`` package."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from asd.frontends.gammatone import Gammatone

# Bands whose |D| at the centre frequency is smaller than this have poles so close to 1 that
# coefficients in float32 err by more than about 0.001 dB; the kernel's other form then is used.
SENSITIVE_BELOW = 2e-3


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
def filter_bank(settings: Gammatone) -> FilterBank:
    """The bank of these settings, in their precision."""
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
    lanes = VECTOR_BYTES // np.dtype(settings.precision).itemsize
    padding = -settings.bands % lanes

    def fill(*rows: np.ndarray) -> np.ndarray:
        return np.pad(np.stack(rows), ((0, 0), (0, padding))).astype(settings.precision)

    close = np.flatnonzero(np.abs(1 + b1 * z + b2 * z**2) < SENSITIVE_BELOW)
    sensitive = settings.precision == "float32" and close.size > 0
    return FilterBank(
        coefficients=fill(-b1, -b2, -s, s**2 / 8),
        near_one=fill(-g, b2),
        sensitive=(int(close[-1]) // lanes + 1) * lanes if sensitive else 0,
        gains=fill(float(settings.rate) ** -4 / gain / np.sqrt(settings.window))[0],
    )
