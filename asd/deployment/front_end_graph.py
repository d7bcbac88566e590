"""Front ends as torch modules that map a wave [samples] to frames [frames, bands] in dB.

Of operations that ONNX has; ``asd.deployment.onnx_export`` proves that they give the front end's
numbers.
"""

from __future__ import annotations

import numpy as np
import torch
from gammatone.filters import erb_filterbank, make_erb_filters
from torch import Tensor, nn
from torch.nn import functional as F

from asd.errors import AsdError
from asd.frontends.frontend import FrontEnd
from asd.frontends.gammatone import Gammatone
from asd.frontends.gammatone_fft import GammatoneFFT, tables
from asd.frontends.mel import Mel, transform

# Neighbouring bands whose filters are cut to one length, the longest among them.
_GROUP = 16


def front_end_graph(frontend: FrontEnd, tail: float) -> nn.Module:
    """The module of a front end.

    Args:
        frontend: one of this package's.
        tail: share of its energy that a gammatone filter's impulse response may lose at its end.

    Raises:
        AsdError: there is no graph of this front end.
    """
    if isinstance(frontend, Gammatone):
        return GammatoneGraph(frontend, tail)
    if isinstance(frontend, Mel):
        spectrogram, scale = transform(frontend).spectrogram, transform(frontend).mel_scale
        return SpectrumGraph(frontend, spectrogram.window, scale.fb, frontend.power)
    if isinstance(frontend, GammatoneFFT):
        window, weights = map(torch.from_numpy, tables(frontend))
        return SpectrumGraph(frontend, window, weights, 1.0)
    raise AsdError(f"frontend={frontend.name}: no ONNX graph of this front end is known")


class GammatoneGraph(nn.Module):
    """``Gammatone`` with its recursive filters as convolutions with their impulse responses."""

    def __init__(self, frontend: Gammatone, tail: float) -> None:
        super().__init__()
        self.frontend = frontend
        impulse = np.eye(1, frontend.rate)[0]  # a second: the narrowest filter rings for 0.2 s
        filters = make_erb_filters(frontend.rate, frontend.centre_frequencies())
        responses = erb_filterbank(impulse, filters)
        left = np.cumsum(np.square(responses)[:, ::-1], axis=1)[:, ::-1]
        taps = (left > tail * left[:, :1]).sum(axis=1)
        groups = [slice(first, first + _GROUP) for first in range(0, frontend.bands, _GROUP)]
        kernels = [responses[group, None, : taps[group].max()] for group in groups]
        self.kernels = [torch.tensor(kernel).flip(2).float() for kernel in kernels]

    def forward(self, wave: Tensor) -> Tensor:
        """See the module."""
        samples, settings = wave.shape[0], self.frontend
        bands = [
            F.conv1d(F.pad(wave[None, None], (kernel.shape[-1] - 1, 0)), kernel)
            for kernel in self.kernels
        ]
        energies = torch.cat(bands, dim=1).square()
        energies = F.avg_pool1d(energies, settings.window, settings.hop)[0].T
        levels = 20 * torch.log10(energies.sqrt() + settings.eps)
        if not settings.repeat_last:
            return levels
        frames = (samples + settings.hop - 1) // settings.hop
        return levels[torch.arange(frames).clamp(max=levels.shape[0] - 1)]


class SpectrumGraph(nn.Module):
    """Level of weighted magnitudes of a short-time Fourier transform.

    Args:
        frontend: gives ``n_fft``, ``hop`` and ``eps``; with ``pad_mode``, frames are centred.
        window: [n_fft] or shorter, then in the middle of the transform.
        weights: [lines, bands].
        power: of the magnitudes; the level is (20 / power) log10.
    """

    def __init__(
        self, frontend: Mel | GammatoneFFT, window: Tensor, weights: Tensor, power: float
    ) -> None:
        super().__init__()
        self.frontend, self.window, self.weights, self.power = frontend, window, weights, power
        # Of other lengths onnxruntime's transform errs by up to 0.007 dB.
        self.fast = frontend.n_fft & (frontend.n_fft - 1) == 0
        if not self.fast:
            turns = np.outer(np.arange(len(weights)), np.arange(frontend.n_fft)) % frontend.n_fft
            waves = np.exp(2j * np.pi / frontend.n_fft * turns) * window.double().numpy()
            self.basis = torch.tensor(np.concatenate([waves.real, waves.imag])[:, None]).float()

    def forward(self, wave: Tensor) -> Tensor:
        """See the module."""
        settings = self.frontend
        wave = wave[None, None]
        if isinstance(settings, Mel):
            wave = F.pad(wave, (settings.n_fft // 2,) * 2, mode=settings.pad_mode)
        if self.fast:
            lines = torch.stft(
                wave[0, 0], settings.n_fft, settings.hop, len(self.window), self.window,
                center=False, return_complex=True,
            )  # fmt: skip
            squares = torch.view_as_real(lines).square().sum(-1)
        else:
            parts = F.conv1d(wave, self.basis, stride=settings.hop)[0]
            squares = parts.reshape(2, len(self.weights), -1).square().sum(0)
        magnitudes = squares if self.power == 2 else squares ** (self.power / 2)
        return 20 / self.power * torch.log10(magnitudes.T @ self.weights + settings.eps)
