"""The same gammatone features by one large FFT a clip, in torch: for GPUs, and as an oracle."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

from asd.errors import AsdError

if TYPE_CHECKING:
    import torch

    from asd.frontends.gammatone import Gammatone

# Filters ring on after the clip's end. The transform is lengthened until what wraps around has
# fallen to this fraction of the filter's response.
WRAPPED = 1e-18
# Filtered clips held in memory at a time: at most about this many numbers.
NUMBERS_AT_ONCE = 2**28


def features_batch(frontend: Gammatone, waves: torch.Tensor) -> torch.Tensor:
    """Features of clips of one length, on the device and in the precision of the tensor.

    The filters are applied as products of spectra. The frequency response is computed from the
    package's four biquads, so that neither the recursion nor the rearranged filter of
    ``gammatone_kernel`` is used.

    Args:
        frontend: the settings; its precision does not matter here.
        waves: float32 or float64 [clips, samples] in [-1, 1].

    Returns:
        [clips, n_frames(samples), bands], contiguous, same type and device.

    Raises:
        AsdError: not two-dimensional or not floating point, shorter than one window, or with
            samples that are not finite.
    """
    import torch

    if waves.ndim != 2 or waves.dtype not in (torch.float32, torch.float64):
        raise AsdError(
            f"clips are {waves.dtype} {list(waves.shape)}: float [clips, samples] needed"
        )
    samples = waves.shape[1]
    frames = frontend.n_frames(samples)
    if not bool(torch.isfinite(waves).all()):
        raise AsdError("clips have samples that are not numbers (NaN or infinite)")
    response, length = _response(frontend, samples, waves.dtype, waves.device)
    at_once = max(1, NUMBERS_AT_ONCE // (length * frontend.bands))
    out = waves.new_empty((waves.shape[0], frames, frontend.bands))
    for first in range(0, waves.shape[0], at_once):
        last = first + at_once
        out[first:last] = _levels(frontend, waves[first:last], response, length, frames)
    return out


def _levels(
    frontend: Gammatone, waves: torch.Tensor, response: torch.Tensor, length: int, frames: int
) -> torch.Tensor:
    import torch

    samples = waves.shape[1]
    spectrum = torch.fft.rfft(waves, length)
    filtered = torch.fft.irfft(spectrum[:, None, :] * response, length)[..., :samples]
    block = math.gcd(frontend.window, frontend.hop)
    computed = frontend.computed_frames(samples)
    blocks = ((computed - 1) * frontend.hop + frontend.window) // block
    energies = filtered[..., : blocks * block].unflatten(-1, (blocks, block))
    energies = energies.square().sum(-1)
    means = energies.unfold(-1, frontend.window // block, frontend.hop // block).sum(-1)
    level = 20 * torch.log10((means / frontend.window).sqrt() + frontend.eps)
    level = level.transpose(1, 2)
    return torch.cat([level, level[:, -1:].expand(-1, frames - computed, -1)], dim=1)


@lru_cache(maxsize=8)
def _response(
    frontend: Gammatone, samples: int, dtype: torch.dtype, device: torch.device
) -> tuple[torch.Tensor, int]:
    """Frequency responses, complex [bands, length / 2 + 1], and the transform's length."""
    import numpy as np
    import torch
    from scipy.fft import next_fast_len

    biquads = frontend.filters().biquads
    slowest = math.log(biquads[:, 8].max()) / 2  # a filter falls like n^3 exp(slowest n)
    ringing = 1
    while 3 * math.log(ringing) + slowest * ringing > math.log(WRAPPED):
        ringing = math.ceil(ringing * 1.1) + 1
    length = int(next_fast_len(samples + ringing, real=True))
    z = np.exp(-2j * np.pi * np.arange(length // 2 + 1) / length)
    gain = biquads[:, 9:10]
    response = np.ones((len(biquads), len(z)), complex) / gain
    denominator = 1 + biquads[:, 7:8] * z + biquads[:, 8:9] * z**2
    for zero in (1, 2, 3, 4):
        response *= (biquads[:, :1] + biquads[:, zero : zero + 1] * z) / denominator
    kind = torch.complex64 if dtype == torch.float32 else torch.complex128
    return torch.from_numpy(response).to(device=device, dtype=kind), length
