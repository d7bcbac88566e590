"""The samples themselves, for networks that transform them on the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from asd.frontends.frontend import check_length, check_wave
from asd.options import check_number, check_whole


@dataclass(frozen=True)
class Waveform:
    """A frame is a sample, in one band; settings: ``conf/frontend/waveform.yaml``."""

    rate: int = 16000
    least_seconds: float = 0.0

    name: ClassVar[str] = "waveform"
    version: ClassVar[int] = 1
    bands: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_whole("frontend.rate", self.rate, 1)
        check_number("frontend.least_seconds", self.least_seconds, 0)

    @property
    def hop_seconds(self) -> float:
        """Time from one sample to the next."""
        return 1 / self.rate

    def n_frames(self, samples: int) -> int:
        """See ``FrontEnd``."""
        check_length(samples, 1, self.rate)
        return max(samples, round(self.least_seconds * self.rate))

    def features(self, wave: np.ndarray) -> np.ndarray:
        """[samples] -> [samples, 1], float32; not in dB."""
        check_wave(self, wave)
        return np.resize(wave, (self.n_frames(len(wave)), 1)).astype(np.float32)

    def centre_frequencies(self) -> np.ndarray:
        """The middle of the band in Hz, float64 [1]."""
        return np.array([self.rate / 4])
