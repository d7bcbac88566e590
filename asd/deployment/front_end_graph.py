"""Front ends of operations that ONNX has."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from gammatone.filters import erb_filterbank, make_erb_filters
from torch import Tensor, nn
from torch.nn import functional as F

from asd.errors import AsdError
from asd.frontends.frontend import FrontEnd
from asd.frontends.gammatone import Gammatone
from asd.frontends.mel import Mel

# Neighbouring bands whose filters are cut to one length, the longest among them.
_GROUP = 16


def front_end_graph(frontend: FrontEnd, tail: float) -> Callable[[Tensor], Tensor]:
    """What maps a wave [samples] to the frames [frames, bands] of a front end.

    Args:
        frontend: one of this package's.
        tail: share of its energy that a gammatone filter's impulse response may lose at its end.

    Raises:
        AsdError: there is no graph of this front end.
    """
    if type(frontend) is Gammatone:
        return GammatoneGraph(frontend, tail)
    if type(frontend) is Mel:
        return frontend.levels()
    raise AsdError(f"frontend: no ONNX graph is known of {frontend}")


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
        """[samples] -> [frames, bands] in dB."""
        settings = self.frontend
        bands = [
            F.conv1d(F.pad(wave[None, None], (kernel.shape[-1] - 1, 0)), kernel)
            for kernel in self.kernels
        ]
        energies = torch.cat(bands, dim=1).square()
        energies = F.avg_pool1d(energies, settings.window, settings.hop)[0].T
        levels = 20 * torch.log10(energies.sqrt() + settings.eps)
        if not settings.repeat_last:
            return levels
        frames = (wave.shape[0] + settings.hop - 1) // settings.hop
        return levels[torch.arange(frames).clamp(max=levels.shape[0] - 1)]
