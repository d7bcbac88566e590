"""Fourier transforms of real values as products with matrices.

onnxruntime's own take lengths that are no power of two by chirps, which err in float32: by 0.01 %
of the mean magnitude at 640 samples, by 0.4 % at 16,000, by 4 % at 160,000.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

_MOST_COLUMNS = 1024  # of a matrix; of lengths that need more, onnxruntime's own in float64


class MatrixFourier(TorchFunctionMode):
    """While a graph is traced: ``torch.stft`` and ``torch.fft.rfft`` as this package calls them."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What torch calls in place of any of its functions."""
        ours: dict[Any, Any] = {torch.stft: _stft, torch.fft.rfft: real_fourier}
        return ours.get(func, func)(*args, **(kwargs or {}))


def real_fourier(values: Tensor) -> Tensor:
    """Complex [..., samples // 2 + 1] of [..., samples], in two steps (Cooley and Tukey 1965)."""
    samples, kind = values.shape[-1], values.dtype
    rows = max(n for n in range(1, math.isqrt(samples) + 1) if samples % n == 0)
    columns = samples // rows
    if columns > _MOST_COLUMNS:
        wide = torch.fft.rfft(values.double())
        return torch.complex(wide.real.to(kind), wide.imag.to(kind))
    grid = values.reshape(*values.shape[:-1], rows, columns)
    cos, sin = _turns(rows, rows, rows, kind)
    real, imaginary = cos @ grid, sin @ grid
    cos, sin = _turns(rows, columns, samples, kind)
    real, imaginary = real * cos - imaginary * sin, real * sin + imaginary * cos
    cos, sin = _turns(columns, columns, columns, kind)
    parts = real @ cos - imaginary @ sin, real @ sin + imaginary @ cos
    return torch.complex(*(part.mT.flatten(-2)[..., : samples // 2 + 1] for part in parts))


def _turns(rows: int, columns: int, whole: int, kind: torch.dtype) -> tuple[Tensor, Tensor]:
    """[rows, columns] real and imaginary part of exp(-2 pi i row column / whole)."""
    steps = torch.outer(torch.arange(rows), torch.arange(columns)) % whole
    angles = steps.double() * (-2 * math.pi / whole)
    return angles.cos().to(kind), angles.sin().to(kind)


def _stft(input: Tensor, n_fft: int, hop_length: int, **options: Any) -> Tensor:
    """[clips, samples] -> [clips, lines, frames]."""
    sides = (n_fft // 2, n_fft // 2)
    wave = F.pad(input[None], sides, options.get("pad_mode", "reflect"))[0]
    return real_fourier(wave.unfold(-1, n_fft, hop_length) * options["window"]).mT
