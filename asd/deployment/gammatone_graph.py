"""The gammatone front end of operations that ONNX has."""

from __future__ import annotations

import math

import numpy as np
import torch
from gammatone.filters import erb_filterbank, make_erb_filters
from torch import Tensor, nn
from torch.nn import functional as F

from asd.frontends.gammatone import Gammatone

_BLOCK = 40  # samples, at most: 32 to 160 are as fast, within what a busy machine tells
_ORDER = 8  # of a filter: how many numbers say all of its past


class GammatoneGraph(nn.Module):
    """``Gammatone`` with its recursive filters in blocks of samples, as products with matrices.

    A block's output is made of its samples and of the filter's state, a sum over all blocks before
    it. That is made by doubling, of 1, 2, 4, ... blocks, until an impulse response has less than
    the share ``tail`` of its energy left.
    """

    def __init__(self, frontend: Gammatone, tail: float) -> None:
        super().__init__()
        self.frontend, whole = frontend, math.gcd(frontend.window, frontend.hop)
        size = self.block = max(n for n in range(1, _BLOCK + 1) if whole % n == 0)
        impulse = np.eye(1, frontend.rate)[0]  # a second: the narrowest filter rings for 0.2 s
        filters = make_erb_filters(frontend.rate, frontend.centre_frequencies())
        responses = erb_filterbank(impulse, filters)
        left = np.cumsum(np.square(responses)[:, ::-1], axis=1)[:, ::-1]
        longest = (left > tail * left[:, :1]).sum(axis=1).max()
        parts = [_of_blocks(response, size) for response in responses]
        joined = [torch.from_numpy(np.stack(part)) for part in zip(*parts, strict=True)]
        self.direct, self.enter, self.leave = (part.float() for part in joined[:3])
        self.moves = [joined[3]]
        for _ in range(math.ceil(math.log2(longest / size + 1)) - 1):
            self.moves.append(self.moves[-1] @ self.moves[-1])

    def forward(self, wave: Tensor) -> Tensor:
        """[samples] -> [frames, bands] in dB."""
        settings, size = self.frontend, self.block
        blocks = wave[: wave.shape[0] // size * size].view(-1, size)
        count = blocks.shape[0]
        state = blocks @ self.enter
        for number, move in enumerate(self.moves):
            state = state + F.pad(state, (0, 0, 2**number, 0))[:, :count] @ move.float()
        before = F.pad(state, (0, 0, 1, 0))[:, :count]
        outputs = blocks @ self.direct + before @ self.leave
        energies = torch.linalg.vector_norm(outputs, dim=2).square()
        width, step = settings.window // size, settings.hop // size
        energies = F.avg_pool1d(energies[None], width, step)[0].T / size
        levels = 20 * torch.log10(energies.sqrt() + settings.eps)
        if not settings.repeat_last:
            return levels
        frames = (wave.shape[0] + settings.hop - 1) // settings.hop
        return levels[torch.arange(frames).clamp(max=levels.shape[0] - 1)]


def _of_blocks(response: np.ndarray, size: int) -> tuple[np.ndarray, ...]:
    """Matrices of a filter: samples to output [size, size], samples to state [size, order], state
    to the next block's output [order, size], and to its state.

    The state is what the past gives of an orthonormal basis of all that the response becomes.
    """
    span = len(response) // 2
    shifts = np.unique(np.geomspace(1, span // 4, 40).astype(int))
    futures = np.stack([response[shift : shift + span] for shift in shifts])
    basis = np.linalg.svd(futures, full_matrices=False)[2][:_ORDER]
    padded = np.pad(response, (size, 0))
    direct = np.stack([padded[size - n : 2 * size - n] for n in range(size)])
    leave = np.stack([basis @ response[n : n + span] for n in range(1, size + 1)], axis=1)
    return direct, basis[:, size - 1 :: -1].T, leave, basis[:, : span - size] @ basis[:, size:].T
