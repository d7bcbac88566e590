"""Log-mel features as the DCASE 2020 organisers' baseline computes them, by torchaudio."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

from asd.errors import AsdError
from asd.frontends.frontend import (
    check_above_zero,
    check_at_least,
    check_band_edges,
    check_choice,
    check_length,
    check_wave,
)

if TYPE_CHECKING:
    import numpy as np

PAD_MODES = ("reflect", "constant", "replicate", "circular")
SCALES = ("slaney", "htk")
NORMS = ("slaney", "none")


@dataclass(frozen=True)
class Mel:
    """Mel spectrogram, ``10 log10(S + eps)`` at power 2, of windows centred on their samples.

    The defaults are those of the DCASE 2020 task 2 baseline, which used librosa. Its scale and
    norm ("slaney") and its padding of that time ("reflect"; librosa 0.11 pads with zeros) are
    options here.

    Attributes:
        rate: sampling rate in Hz.
        bands: mel bands.
        n_fft: samples in a window; even.
        hop: samples from one frame to the next.
        f_min: lower end of the lowest band in Hz.
        f_max: upper end of the highest band in Hz; null is half the rate.
        power: 2 for energies, 1 for magnitudes; the level is (20 / power) log10(S + eps).
        eps: added before the logarithm.
        pad_mode: how n_fft / 2 samples are added at each end.
        mel_scale: slaney or htk.
        norm: slaney (bands of equal area) or none (of equal height).

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
        check_at_least("rate", self.rate, 1)
        check_at_least("bands", self.bands, 1)
        check_at_least("n_fft", self.n_fft, 2)
        if self.n_fft % 2:  # torchaudio and librosa then differ in the lines' frequencies
            raise AsdError(f"frontend.n_fft={self.n_fft}: must be even")
        check_at_least("hop", self.hop, 1)
        top = check_band_edges(self.rate, self.f_min, self.f_max)
        check_above_zero("power", self.power)
        check_above_zero("eps", self.eps)
        check_choice("pad_mode", self.pad_mode, PAD_MODES)
        check_choice("mel_scale", self.mel_scale, SCALES)
        check_choice("norm", self.norm, NORMS)
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

    @property
    def window_seconds(self) -> float:
        """Length of a window."""
        return self.n_fft / self.rate

    def n_frames(self, samples: int) -> int:
        """Frames of a clip of so many samples.

        Raises:
            AsdError: the clip is shorter than one window.
        """
        check_length(samples, self.n_fft, self.rate)
        return 1 + samples // self.hop

    def centre_frequencies(self) -> np.ndarray:
        """Peaks of the triangles in Hz, float64 [bands], ascending."""
        import numpy as np

        top = check_band_edges(self.rate, self.f_min, self.f_max)
        ends = _to_mel(np.array([self.f_min, top]), self.mel_scale)
        return _to_hertz(np.linspace(ends[0], ends[1], self.bands + 2), self.mel_scale)[1:-1]

    def features(self, wave: np.ndarray) -> np.ndarray:
        """Mel levels of one clip in dB.

        Args:
            wave: [samples], floating point, in [-1, 1].

        Returns:
            float32 [n_frames(samples), bands], C-contiguous, lowest frequency first.

        Raises:
            AsdError: not one channel of finite numbers, or shorter than one window.
        """
        import numpy as np
        import torch

        check_wave(wave, self.n_fft, self.rate)
        samples = np.require(wave, np.float32, ["C", "W"])  # torch warns of what is read-only
        with torch.inference_mode():
            level = _transform(self)(torch.from_numpy(samples)).T.contiguous()
            level.add_(self.eps).log10_().mul_(20.0 / self.power)
            out: np.ndarray = level.numpy()
        return out


@lru_cache(maxsize=16)
def _transform(frontend: Mel) -> Any:
    """torchaudio's transform. It only reads its buffers, so that threads can share it."""
    from asd.frontends.torchaudio_loader import load_torchaudio

    return load_torchaudio().transforms.MelSpectrogram(
        sample_rate=frontend.rate,
        n_fft=frontend.n_fft,
        hop_length=frontend.hop,
        f_min=frontend.f_min,
        f_max=check_band_edges(frontend.rate, frontend.f_min, frontend.f_max),
        n_mels=frontend.bands,
        power=frontend.power,
        center=True,
        pad_mode=frontend.pad_mode,
        norm=None if frontend.norm == "none" else frontend.norm,
        mel_scale=frontend.mel_scale,
    )


# The two mel scales: htk is logarithmic throughout; slaney is linear up to 1 kHz.
_LINEAR_HERTZ = 200 / 3
_BREAK_HERTZ = 1000.0
_LOG_STEPS = 27.0
_LOG_RANGE = 6.4


def _to_mel(hertz: np.ndarray, scale: str) -> np.ndarray:
    import numpy as np

    if scale == "htk":
        return np.asarray(2595 * np.log10(1 + hertz / 700))
    above = np.maximum(hertz, _BREAK_HERTZ) / _BREAK_HERTZ
    return np.asarray(
        np.minimum(hertz, _BREAK_HERTZ) / _LINEAR_HERTZ
        + np.log(above) / np.log(_LOG_RANGE) * _LOG_STEPS
    )


def _to_hertz(mel: np.ndarray, scale: str) -> np.ndarray:
    import numpy as np

    if scale == "htk":
        return np.asarray(700 * (10 ** (mel / 2595) - 1))
    linear_end = _BREAK_HERTZ / _LINEAR_HERTZ
    above = np.maximum(mel - linear_end, 0) / _LOG_STEPS
    return np.asarray(np.minimum(mel, linear_end) * _LINEAR_HERTZ * _LOG_RANGE**above)
