"""Gammatone features: the exact time-domain ERB filter bank, frame energies in dB."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from asd.frontends.frontend import check_length, check_settings, check_wave, top_frequency
from asd.frontends.gammatone_filters import filter_bank
from asd.options import check_choice, check_number

if TYPE_CHECKING:
    import numpy as np

PRECISIONS = ("float32", "float64")


@dataclass(frozen=True)
class Gammatone:
    """What ``20 log10(gammatone.gtgram.gtgram(...) + eps)`` computes, some 100 times faster.

    A bank of gammatone filters with centres equally spaced on the ERB scale (Slaney;
    Patterson-Holdsworth), the mean of the squared output over each window, its square root, dB.
    float64 agrees with the package to the last digits that float32 features hold, float32
    within 0.01 dB on recorded sound.

    Attributes:
        rate: sampling rate in Hz.
        bands: number of filters.
        window_seconds: length of a window, which is a frame.
        hop_seconds: time from one frame to the next.
        f_min: centre frequency of the lowest filter in Hz.
        f_max: upper end of the ERB scale in Hz; null is half the rate.
        eps: added before the logarithm, so that silence is finite.
        repeat_last: repeat the last frame until there are samples / hop frames, rounded up
            (500 for 10 s at a hop of 20 ms instead of 499).
        precision: of the filters, float32 or float64. The features are float32 either way.

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
    repeat_last: bool = True
    precision: str = "float32"

    name: ClassVar[str] = "gammatone"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_settings(self.rate, self.bands, self.f_min, self.f_max, self.eps)
        check_number("frontend.window_seconds", self.window_seconds, 1.5 / self.rate)  # 2 samples
        check_number("frontend.hop_seconds", self.hop_seconds, 0.5 / self.rate)  # 1 sample
        check_choice("frontend.precision", self.precision, PRECISIONS)

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
        out = np.empty((self.n_frames(wave.shape[0]), self.bands), np.float32)
        out[: len(levels)] = levels
        out[len(levels) :] = out[len(levels) - 1]
        return out

    def levels(self, wave: np.ndarray) -> np.ndarray:
        """dB [whole windows, bands] in the precision of the filters, of a wave that was checked."""
        import numpy as np

        from asd.frontends.gammatone_kernel import block_energies

        bank = filter_bank(self)
        block = math.gcd(self.window, self.hop)
        frames = self._windows(wave.shape[0])
        padded = np.empty(wave.shape[0] + 1, self.precision)
        padded[:-1] = wave
        padded[-1] = 0
        blocks = ((frames - 1) * self.hop + self.window) // block
        energies = np.empty((blocks, len(bank.gains)), self.precision)
        block_energies(padded, bank.coefficients, bank.near_one, bank.sensitive, block, energies)
        level = _window_sums(energies, self.window // block, self.hop // block)
        np.sqrt(level, out=level)
        level *= bank.gains
        level += level.dtype.type(self.eps)
        np.log(level, out=level)
        level *= level.dtype.type(20 / np.log(10))
        return level[:, : self.bands]


def _window_sums(energies: np.ndarray, width: int, step: int) -> np.ndarray:
    """Sums of ``width`` neighbouring rows, every ``step`` rows; [frames, bands]."""
    last = (len(energies) - width) // step * step + 1
    total: np.ndarray = energies[0:last:step].copy()
    for shift in range(1, width):
        total += energies[shift : shift + last : step]
    return total
