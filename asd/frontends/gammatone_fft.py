"""Gammatone-like features from a spectrogram: the ``gammatone`` package's approximation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from asd.frontends.frontend import check_length, check_wave, top_frequency
from asd.frontends.gammatone_filters import GammatoneSettings

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class GammatoneFFT(GammatoneSettings):
    """What ``20 log10(gammatone.fftweight.fft_gtgram(...) + eps)`` computes.

    Magnitudes of a short-time Fourier transform (Hann window, zero-padded), summed with the
    filters' magnitude responses as weights. It is another quantity than ``Gammatone``, not a
    nearby one: sums of magnitudes instead of energies, fewer frames, another scale.

    The package leaves its last frame zero where samples - n_fft is a multiple of the hop; here
    that frame is computed.

    The window of ``GammatoneSettings`` is a Hann window; the transform is twice as long or more, a
    power of two.

    Raises:
        AsdError: a setting cannot work; names it.
    """

    name: ClassVar[str] = "gammatone_fft"
    version: ClassVar[int] = 1

    @property
    def n_fft(self) -> int:
        """Length of the transform: the power of two that holds two windows."""
        return int(2 ** math.ceil(math.log2(2 * self.window_seconds * self.rate)))

    def n_frames(self, samples: int) -> int:
        """See ``FrontEnd``; a clip must be as long as a transform."""
        check_length(samples, self.n_fft, self.rate)
        return 1 + (samples - self.n_fft) // self.hop

    def features(self, wave: np.ndarray) -> np.ndarray:
        """See ``FrontEnd``."""
        import numpy as np
        from scipy.fft import rfft

        check_wave(self, wave)
        window, weights = tables(self)
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
def tables(frontend: GammatoneFFT) -> tuple[np.ndarray, np.ndarray]:
    """Window float32 [n], centred in the transform, and weights float32 [lines, bands]."""
    import numpy as np
    from gammatone.fftweight import fft_weights, specgram_window

    n_fft = frontend.n_fft
    window = specgram_window(n_fft, frontend.window)
    margin = n_fft // 2 - frontend.window // 2
    window = window[margin : n_fft - margin]
    top = top_frequency(frontend.rate, frontend.f_max)
    lines = n_fft // 2 + 1
    weights, _ = fft_weights(n_fft, frontend.rate, frontend.bands, 1, frontend.f_min, top, lines)
    return window.astype(np.float32), (weights.T / n_fft).astype(np.float32)
