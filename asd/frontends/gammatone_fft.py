"""Gammatone-like features from a spectrogram: the ``gammatone`` package's approximation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from asd.errors import AsdError
from asd.frontends.frontend import (
    check_above_zero,
    check_at_least,
    check_band_edges,
    check_length,
    check_wave,
    samples_of,
)
from asd.frontends.gammatone_filters import gammatone_filters

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class GammatoneFFT:
    """What ``20 log10(gammatone.fftweight.fft_gtgram(...) + eps)`` computes.

    Magnitudes of a short-time Fourier transform (Hann window, zero-padded), summed with the
    filters' magnitude responses as weights. It is another quantity than ``Gammatone``, not a
    nearby one: sums of magnitudes instead of energies, fewer frames, another scale.

    The package leaves its last frame zero where samples - n_fft is a multiple of the hop; here
    that frame is computed.

    Attributes:
        rate: sampling rate in Hz.
        bands: number of filters.
        window_seconds: length of a Hann window; the transform is twice as long or more, a power
            of two.
        hop_seconds: time from one frame to the next.
        f_min: centre frequency of the lowest filter in Hz.
        f_max: upper end of the ERB scale in Hz; null is half the rate.
        eps: added before the logarithm.

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

    name: ClassVar[str] = "gammatone_fft"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_at_least("rate", self.rate, 1)
        check_at_least("bands", self.bands, 1)
        check_band_edges(self.rate, self.f_min, self.f_max)
        if samples_of("window_seconds", self.window_seconds, self.rate) < 2:
            raise AsdError(f"frontend.window_seconds={self.window_seconds}: less than two samples")
        samples_of("hop_seconds", self.hop_seconds, self.rate)
        check_above_zero("eps", self.eps)

    @property
    def window(self) -> int:
        """Length of the Hann window in samples."""
        return samples_of("window_seconds", self.window_seconds, self.rate)

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return samples_of("hop_seconds", self.hop_seconds, self.rate)

    @property
    def n_fft(self) -> int:
        """Length of the transform: the power of two that holds two windows."""
        return int(2 ** math.ceil(math.log2(2 * self.window_seconds * self.rate)))

    def n_frames(self, samples: int) -> int:
        """Frames of a clip of so many samples.

        Raises:
            AsdError: the clip is shorter than one transform.
        """
        check_length(samples, self.n_fft, self.rate)
        return 1 + (samples - self.n_fft) // self.hop

    def centre_frequencies(self) -> np.ndarray:
        """Centre frequencies in Hz, float64 [bands], ascending."""
        top = check_band_edges(self.rate, self.f_min, self.f_max)
        return gammatone_filters(self.rate, self.bands, float(self.f_min), top).centres.copy()

    def features(self, wave: np.ndarray) -> np.ndarray:
        """Frame levels of one clip in dB.

        Args:
            wave: [samples], floating point, in [-1, 1].

        Returns:
            float32 [n_frames(samples), bands], C-contiguous, lowest frequency first.

        Raises:
            AsdError: not one channel of finite numbers, or shorter than one transform.
        """
        import numpy as np
        from scipy.fft import rfft

        check_wave(wave, self.n_fft, self.rate)
        window, weights = _tables(self)
        samples = np.asarray(wave, np.float32)
        frames = np.lib.stride_tricks.sliding_window_view(samples, self.n_fft)[:: self.hop]
        # the window is zero outside its middle: only that is transformed, magnitudes are the same
        start = (self.n_fft - len(window)) // 2
        lines = rfft(frames[:, start : start + len(window)] * window, self.n_fft, axis=1)
        level = np.abs(lines) @ weights
        level += np.float32(self.eps)
        np.log(level, out=level)
        level *= np.float32(20 / np.log(10))
        out: np.ndarray = level
        return out


@lru_cache(maxsize=16)
def _tables(frontend: GammatoneFFT) -> tuple[np.ndarray, np.ndarray]:
    """Window float32 [n], centred in the transform, and weights float32 [lines, bands]."""
    import numpy as np
    from gammatone.fftweight import fft_weights, specgram_window

    n_fft = frontend.n_fft
    window = specgram_window(n_fft, frontend.window)
    margin = n_fft // 2 - frontend.window // 2
    window = window[margin : n_fft - margin]
    top = check_band_edges(frontend.rate, frontend.f_min, frontend.f_max)
    lines = n_fft // 2 + 1
    weights, _ = fft_weights(n_fft, frontend.rate, frontend.bands, 1, frontend.f_min, top, lines)
    return window.astype(np.float32), (weights.T / n_fft).astype(np.float32)
