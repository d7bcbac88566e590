"""The gammatone front end of operations that ONNX has."""

from __future__ import annotations

import numpy as np
import torch
from gammatone.filters import erb_filterbank, make_erb_filters
from torch import Tensor, nn
from torch.nn import functional as F

from asd.frontends.gammatone import Gammatone

# Neighbouring bands whose filters are cut to one length, the longest among them.
_GROUP = 16


class GammatoneGraph(nn.Module):
    """``Gammatone`` with its recursive filters as convolutions with their impulse responses.

    ``tail`` is the share of its energy that an impulse response may lose at its end.
    """

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
        """[samples] -> [frames, bands] in dB."""
        settings = self.frontend
        padded = [F.pad(wave[None, None], (kernel.shape[-1] - 1, 0)) for kernel in self.kernels]
        energies = torch.cat(list(map(F.conv1d, padded, self.kernels)), dim=1).square()
        energies = F.avg_pool1d(energies, settings.window, settings.hop)[0].T
        levels = 20 * torch.log10(energies.sqrt() + settings.eps)
        if not settings.repeat_last:
            return levels
        frames = (wave.shape[0] + settings.hop - 1) // settings.hop
        return levels[torch.arange(frames).clamp(max=levels.shape[0] - 1)]
