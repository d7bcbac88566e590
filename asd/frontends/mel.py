"""Log-mel features as the DCASE 2020 organisers' baseline computes them, by torchaudio."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

from asd.errors import AsdError
from asd.frontends.frontend import check_length, check_settings, check_wave, top_frequency
from asd.options import check_choice, check_number, check_whole

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

_importing = threading.Lock()


@dataclass(frozen=True)
class Mel:
    """Mel spectrogram, ``10 log10(S + eps)`` at power 2, of windows centred on their samples.

    The defaults are those of the DCASE 2020 task 2 baseline, which used librosa. Its scale and
    norm ("slaney") and its padding of that time ("reflect"; librosa 0.11 pads with zeros) are
    options here. ``conf/frontend/mel.yaml`` says what each setting is; ``AsdError`` names
    one that cannot work.
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
        if self.n_fft % 2:  # torchaudio and librosa then differ in the lines' frequencies
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
            lie = f"only {bins} lines of an n_fft of {self.n_fft} lie between f_min and f_max"
            raise AsdError(f"frontend.bands={self.bands}: {lie}; lower bands or raise n_fft")

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
        import numpy as np
        import torch

        scale, top = self.mel_scale, top_frequency(self.rate, self.f_max)
        hertz = load_torchaudio().functional.functional  # its two scales have no public name
        ends = [hertz._hz_to_mel(edge, scale) for edge in (float(self.f_min), top)]
        mels = np.linspace(ends[0], ends[1], self.bands + 2)[1:-1]
        centres: np.ndarray = hertz._mel_to_hz(torch.from_numpy(mels), scale).numpy()
        return centres

    def features(self, wave: np.ndarray) -> np.ndarray:
        """See ``FrontEnd``."""
        import numpy as np
        import torch

        check_wave(self, wave)
        samples = np.require(wave, np.float32, ["C", "W"])  # torch warns of what is read-only
        with torch.inference_mode():
            out: np.ndarray = self.levels()(torch.from_numpy(samples)).contiguous().numpy()
        return out

    def levels(self) -> Callable[[Tensor], Tensor]:
        """What makes dB [frames, bands] of a wave that was checked, by operations that ONNX has."""
        transform = _transform(self)
        return lambda wave: (transform(wave).T + self.eps).log10() * (20.0 / self.power)


@lru_cache(maxsize=16)
def _transform(frontend: Mel) -> Any:
    """torchaudio's transform. It only reads its buffers, so that threads can share it."""
    same = ("n_fft", "f_min", "power", "pad_mode", "mel_scale")
    return load_torchaudio().transforms.MelSpectrogram(
        frontend.rate,
        hop_length=frontend.hop,
        f_max=top_frequency(frontend.rate, frontend.f_max),
        n_mels=frontend.bands,
        norm=None if frontend.norm == "none" else frontend.norm,
        **{name: getattr(frontend, name) for name in same},
    )


def load_torchaudio() -> Any:
    """The torchaudio module, also where its wheel is a CUDA build and torch is not.

    The package index offers torchaudio as a CUDA build only, whose compiled extension fails to load
    beside a CPU-only torch. The parts written in torch do not need it, so it is then replaced by a
    module that says it is not there.
    """
    with _importing:
        try:
            return importlib.import_module("torchaudio")
        except OSError:
            for name in [n for n in sys.modules if n.split(".")[0] == "torchaudio"]:
                del sys.modules[name]
            extension = sys.modules["torchaudio._extension"] = ModuleType("torchaudio._extension")
            vars(extension).update(
                _IS_TORCHAUDIO_EXT_AVAILABLE=False,
                _IS_ALIGN_AVAILABLE=False,
                _check_cuda_version=lambda: None,
                fail_if_no_align=lambda function: function,
            )
            return importlib.import_module("torchaudio")


@dataclass(frozen=True)
class NormalisedMel(Mel):
    """``Mel`` of a clip whose samples are brought to zero mean and unit variance first."""

    name: ClassVar[str] = "mel_normalised"

    def features(self, wave: np.ndarray) -> np.ndarray:
        """See ``FrontEnd``."""
        check_wave(self, wave)
        deviation = wave.std(dtype="float64") or 1.0
        return super().features((wave - wave.mean(dtype="float64")) / deviation)
