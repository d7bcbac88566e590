"""Log-mel features as the DCASE 2020 organisers' baseline computes them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from asd.errors import AsdError
from asd.frontends.frontend import check_length, check_settings, check_wave, top_frequency
from asd.options import check_choice, check_number, check_whole

if TYPE_CHECKING:
    import numpy as np
    import torch


@dataclass(frozen=True)
class Mel:
    """Mel spectrogram, ``10 log10(S + eps)`` at power 2, of windows centred on their samples.

    The defaults are those of the DCASE 2020 task 2 baseline, which used librosa. Its scale and
    norm ("slaney") and its padding of that time ("reflect"; librosa 0.11 pads with zeros) are
    options here. ``conf/frontend/mel.yaml`` says what each setting is.

    Raises:
        AsdError: a setting cannot work; names it.
    """

    rate: int = 16000
    bands: int = 128
    n_fft: int = 1024
    hop: int = 512
    f_min: float = 0.0
    f_max: float | None = None
    power: float = 2.0
    eps: float = 2.220446049250313e-16
    pad_mode: str = "reflect"
    mel_scale: str = "slaney"
    norm: str = "slaney"

    name: ClassVar[str] = "mel"
    version: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_settings(self.rate, self.bands, self.f_min, self.f_max, self.eps)
        check_whole("frontend.n_fft", self.n_fft, 2)
        if self.n_fft % 2:  # torchaudio's and librosa's lines then have different frequencies
            raise AsdError(f"frontend.n_fft={self.n_fft}: must be even")
        check_whole("frontend.hop", self.hop, 1)
        check_number("frontend.power", self.power, 0, above=True)
        pad_modes = ("reflect", "constant", "replicate", "circular")
        check_choice("frontend.pad_mode", self.pad_mode, pad_modes)
        check_choice("frontend.mel_scale", self.mel_scale, ("slaney", "htk"))
        check_choice("frontend.norm", self.norm, ("slaney", "none"))
        top = top_frequency(self.rate, self.f_max)
        bins = int((top - self.f_min) * self.n_fft / self.rate) + 1
        if self.bands > bins:
            raise AsdError(
                f"frontend.bands={self.bands}: only {bins} lines of an n_fft of {self.n_fft} lie "
                "between f_min and f_max; lower bands or raise n_fft"
            )

    @property
    def hop_seconds(self) -> float:
        """Time from one frame to the next."""
        return self.hop / self.rate

    def n_frames(self, samples: int) -> int:
        """See ``FrontEnd``."""
        check_length(samples, self.n_fft, self.rate)
        return 1 + samples // self.hop

    def centre_frequencies(self) -> np.ndarray:
        """Peaks of the triangles in Hz, float64 [bands], ascending."""
        import torch

        centres: np.ndarray = _corners(self, torch.float64)[1:-1].numpy()
        return centres

    def features(self, wave: np.ndarray) -> np.ndarray:
        """See ``FrontEnd``."""
        import numpy as np
        import torch

        check_wave(self, wave)
        samples = np.require(wave, np.float32, ["C", "W"])  # torch warns of what is read-only
        window, weights = spectrum_weights(self)
        with torch.inference_mode():
            lines = torch.stft(torch.from_numpy(samples), self.n_fft, self.hop, window=window,
                               pad_mode=self.pad_mode, return_complex=True)  # fmt: skip
            level = lines.abs().pow(self.power).T @ weights
            level.add_(self.eps).log10_().mul_(20.0 / self.power)
            out: np.ndarray = level.numpy()
        return out


@lru_cache(maxsize=16)
def spectrum_weights(frontend: Mel) -> tuple[torch.Tensor, torch.Tensor]:
    """Window [n_fft] and triangles [lines, bands], float32, as torchaudio's MelSpectrogram."""
    import torch

    lines = torch.linspace(0, frontend.rate // 2, frontend.n_fft // 2 + 1)
    corners = _corners(frontend, torch.float32)
    slopes, widths = corners - lines.unsqueeze(1), corners.diff()
    weights = torch.min(-slopes[:, :-2] / widths[:-1], slopes[:, 2:] / widths[1:]).clamp(min=0)
    if frontend.norm == "slaney":
        weights *= 2 / (corners[2:] - corners[:-2])
    return torch.hann_window(frontend.n_fft), weights


def _corners(frontend: Mel, dtype: torch.dtype) -> torch.Tensor:
    """Hz [bands + 2], evenly spaced in mel: a triangle begins, peaks and ends at three of them."""
    import torch

    ends = (float(frontend.f_min), top_frequency(frontend.rate, frontend.f_max))
    step, hertz = math.log(6.4) / 27, 200 / 3  # Slaney's scale: linear up to 1 kHz, which is 15 mel
    if frontend.mel_scale == "htk":
        low, high = (2595 * math.log10(1 + end / 700) for end in ends)
    else:
        low, high = (e / hertz if e < 1000 else 15 + math.log(e / 1000) / step for e in ends)
    mels = torch.linspace(low, high, frontend.bands + 2, dtype=dtype)
    if frontend.mel_scale == "htk":
        return 700 * (10 ** (mels / 2595) - 1)
    return torch.where(mels < 15, hertz * mels, 1000 * torch.exp(step * (mels - 15)))
