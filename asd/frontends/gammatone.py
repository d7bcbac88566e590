"""Gammatone features: the exact time-domain ERB filter bank, frame energies in dB."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from asd.frontends.frontend import check_length, check_settings, check_wave, top_frequency
from asd.options import check_choice, check_number

if TYPE_CHECKING:
    import numpy as np

# Bands whose |D| at the centre frequency is smaller than this have poles so close to 1 that
# coefficients in float32 err by more than about 0.001 dB; the kernel's other form then is used.
SENSITIVE_BELOW = 2e-3


@dataclass(frozen=True)
class Gammatone:
    """What ``20 log10(gammatone.gtgram.gtgram(...) + eps)`` computes, some 100 times faster.

    A bank of gammatone filters with centres equally spaced on the ERB scale (Slaney;
    Patterson-Holdsworth), the mean of the squared output over each window, its square root, dB.
    float64 agrees with the package to the last digits that float32 features hold, float32
    within 0.01 dB on recorded sound. ``conf/frontend/gammatone.yaml`` says what each setting is;
    ``AsdError`` names one that cannot work.
    """

    rate: int = 16000
    bands: int = 64
    window_seconds: float = 0.04
    hop_seconds: float = 0.02
    f_min: float = 0.0
    f_max: float | None = None
    eps: float = 2.220446049250313e-16
    repeat_last: bool = True
    precision: str = "float32"

    name: ClassVar[str] = "gammatone"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_settings(self.rate, self.bands, self.f_min, self.f_max, self.eps)
        check_number("frontend.window_seconds", self.window_seconds, 1.5 / self.rate)  # 2 samples
        check_number("frontend.hop_seconds", self.hop_seconds, 0.5 / self.rate)  # 1 sample
        check_choice("frontend.precision", self.precision, ("float32", "float64"))

    @property
    def window(self) -> int:
        """Length of a window in samples, halves rounded up as ``gammatone.gtgram`` does."""
        return math.floor(self.window_seconds * self.rate + 0.5)

    @property
    def hop(self) -> int:
        """Samples from one frame to the next, rounded likewise."""
        return math.floor(self.hop_seconds * self.rate + 0.5)

    def centre_frequencies(self) -> np.ndarray:
        """See ``FrontEnd``: those of ``gtgram``, the highest one step of its scale below f_max."""
        from gammatone.filters import erb_space

        top = top_frequency(self.rate, self.f_max)
        centres: np.ndarray = erb_space(float(self.f_min), top, self.bands)[::-1].copy()
        return centres

    def n_frames(self, samples: int) -> int:
        """See ``FrontEnd``; the repeated frames counted."""
        check_length(samples, self.window, self.rate)
        return math.ceil(samples / self.hop) if self.repeat_last else self._windows(samples)

    def _windows(self, samples: int) -> int:
        return 1 + (samples - self.window) // self.hop

    def features(self, wave: np.ndarray) -> np.ndarray:
        """See ``FrontEnd``."""
        import numpy as np

        check_wave(self, wave)
        levels = self.levels(wave)
        frames = np.minimum(np.arange(self.n_frames(wave.shape[0])), len(levels) - 1)
        return levels[frames].astype(np.float32, copy=False)

    def levels(self, wave: np.ndarray) -> np.ndarray:
        """dB [whole windows, bands] in the precision of the filters, of a wave that was checked."""
        import numpy as np

        from asd.frontends.gammatone_kernel import block_energies

        bank = filter_bank(self)
        block = math.gcd(self.window, self.hop)
        blocks = ((self._windows(wave.shape[0]) - 1) * self.hop + self.window) // block
        padded = np.zeros(wave.shape[0] + 1, self.precision)
        padded[:-1] = wave
        energies = np.empty((blocks, len(bank.gains)), self.precision)
        block_energies(padded, bank.coefficients, bank.near_one, bank.sensitive, block, energies)
        level = np.sqrt(_window_sums(energies, self.window // block, self.hop // block))
        decibels: np.ndarray = np.log(level * bank.gains + self.eps) * (20 / math.log(10))
        return decibels[:, : self.bands]


class FilterBank(NamedTuple):
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


def _window_sums(energies: np.ndarray, width: int, step: int) -> np.ndarray:
    """Sums of ``width`` neighbouring rows, every ``step`` rows; [frames, bands]."""
    last = (len(energies) - width) // step * step + 1
    total: np.ndarray = energies[0:last:step].copy()
    for shift in range(1, width):
        total += energies[shift : shift + last : step]
    return total
