"""Gammatone features: the exact time-domain ERB filter bank, frame energies in dB."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from asd.frontends.frontend import (
    check_above_zero,
    check_at_least,
    check_band_edges,
    check_choice,
    check_length,
    check_wave,
    samples_of,
)
from asd.frontends.gammatone_filters import GammatoneFilters, gammatone_filters

if TYPE_CHECKING:
    import numpy as np

PRECISIONS = ("float32", "float64")

# Bands whose |D| at the centre frequency is smaller than this have poles so close to 1 that
# coefficients in float32 err by more than about 0.001 dB; the kernel's other form then is used.
SENSITIVE_BELOW = 2e-3


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
        window_seconds: length of a frame.
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
        check_at_least("rate", self.rate, 1)
        check_at_least("bands", self.bands, 1)
        check_band_edges(self.rate, self.f_min, self.f_max)
        samples_of("window_seconds", self.window_seconds, self.rate)
        samples_of("hop_seconds", self.hop_seconds, self.rate)
        check_above_zero("eps", self.eps)
        check_choice("precision", self.precision, PRECISIONS)

    @property
    def window(self) -> int:
        """Length of a frame in samples."""
        return samples_of("window_seconds", self.window_seconds, self.rate)

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return samples_of("hop_seconds", self.hop_seconds, self.rate)

    def computed_frames(self, samples: int) -> int:
        """Whole windows in a clip, the repeated frames not counted.

        Raises:
            AsdError: the clip is shorter than one window.
        """
        check_length(samples, self.window, self.rate)
        return 1 + (samples - self.window) // self.hop

    def n_frames(self, samples: int) -> int:
        """Frames of a clip of so many samples.

        Raises:
            AsdError: the clip is shorter than one window.
        """
        computed = self.computed_frames(samples)
        return math.ceil(samples / self.hop) if self.repeat_last else computed

    def filters(self) -> GammatoneFilters:
        """The filter bank for these settings."""
        top = check_band_edges(self.rate, self.f_min, self.f_max)
        return gammatone_filters(self.rate, self.bands, float(self.f_min), top)

    def centre_frequencies(self) -> np.ndarray:
        """Centre frequencies in Hz, float64 [bands], ascending."""
        return self.filters().centres.copy()

    def features(self, wave: np.ndarray) -> np.ndarray:
        """Frame levels of one clip in dB.

        Args:
            wave: [samples], floating point, in [-1, 1].

        Returns:
            float32 [n_frames(samples), bands], C-contiguous, lowest frequency first.

        Raises:
            AsdError: not one channel of finite numbers, or shorter than one window.
        """
        import numpy as np

        check_wave(wave, self.window, self.rate)
        levels = self.levels(wave)
        frames = self.n_frames(wave.shape[0])
        out = np.empty((frames, self.bands), np.float32)
        out[: len(levels)] = levels
        out[len(levels) :] = out[len(levels) - 1]
        return out

    def levels(self, wave: np.ndarray) -> np.ndarray:
        """dB [computed_frames, bands] in the precision of the filters."""
        import numpy as np

        from asd.frontends.gammatone_kernel import block_energies

        plan = _plan(self)
        block = math.gcd(self.window, self.hop)
        frames = self.computed_frames(wave.shape[0])
        padded = np.empty(wave.shape[0] + 1, self.precision)
        padded[:-1] = wave
        padded[-1] = 0
        blocks = ((frames - 1) * self.hop + self.window) // block
        energies = np.empty((blocks, plan.gains.shape[0]), self.precision)
        block_energies(padded, plan.coefficients, plan.near_one, plan.sensitive, block, energies)
        level = _window_sums(energies, self.window // block, self.hop // block)
        np.sqrt(level, out=level)
        level *= plan.gains
        level += plan.eps
        np.log(level, out=level)
        level *= plan.decibels
        return level[:, : self.bands]


@dataclass(frozen=True)
class _Plan:
    """A bank in the kernel's precision, padded to whole vectors with filters that do nothing."""

    coefficients: np.ndarray  # [4, padded bands]
    near_one: np.ndarray  # [2, padded bands]
    sensitive: int  # the lowest bands for which near_one is used
    gains: np.ndarray  # [padded bands], with the division by the window
    eps: np.floating
    decibels: np.floating  # 20 / ln 10


@lru_cache(maxsize=16)
def _plan(frontend: Gammatone) -> _Plan:
    import numpy as np

    from asd.frontends.gammatone_kernel import VECTOR_BYTES

    filters = frontend.filters()
    number = np.dtype(frontend.precision).type
    lanes = VECTOR_BYTES // np.dtype(number).itemsize
    padded = -(-frontend.bands // lanes) * lanes

    def fill(rows: np.ndarray) -> np.ndarray:
        out = np.zeros((*rows.shape[:-1], padded), number)
        out[..., : frontend.bands] = rows
        return out

    sensitive = 0
    if frontend.precision == "float32":
        close = np.flatnonzero(filters.at_centre < SENSITIVE_BELOW)
        sensitive = 0 if close.size == 0 else (int(close[-1]) // lanes + 1) * lanes
    return _Plan(
        coefficients=fill(filters.coefficients),
        near_one=fill(filters.near_one),
        sensitive=sensitive,
        gains=fill(filters.gains / np.sqrt(frontend.window)),
        eps=number(frontend.eps),
        decibels=number(20 / np.log(10)),
    )


def _window_sums(energies: np.ndarray, width: int, step: int) -> np.ndarray:
    """Sums of ``width`` neighbouring rows, every ``step`` rows; [frames, bands]."""
    import numpy as np

    frames = 1 + (len(energies) - width) // step
    last = (frames - 1) * step + 1
    if width <= 8:
        total = energies[0:last:step].copy()
        for shift in range(1, width):
            total += energies[shift : shift + last : step]
        return total
    windows = np.lib.stride_tricks.sliding_window_view(energies, width, axis=0)
    total = windows[::step].sum(axis=-1)
    return np.ascontiguousarray(total)
