"""Batch norm with the ReLU after it, in two passes over memory each way, on a CPU.

torch's own batch norm of few channels is slower with two threads than with one
(docs/performance.md). On a GPU ``trainer.compile`` fuses such layers.
"""

from __future__ import annotations

import functools
import itertools
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# Channels are repeated to about so many columns, which the loops go through in whole registers.
_COLUMNS = 128
# Numbers in a block; threads share blocks.
_BLOCK = 1 << 17


def can_fuse(norm: nn.Module, image: Tensor) -> bool:
    """Whether ``norm_relu`` does what ``norm`` and a ReLU do: plain batch norm that is being
    trained, on a CPU, of a tensor whose channels lie side by side."""
    return (
        not torch.compiler.is_compiling()  # which fuses by itself
        and type(norm) is nn.BatchNorm2d
        and norm.training
        and norm.affine
        and norm.track_running_stats
        and image.device.type == "cpu"
        and image.dtype == norm.weight.dtype
        and image.dtype in (torch.float32, torch.float64)
        and image.numel() > image.shape[1]  # torch's own says what is wrong with fewer
        and image.is_contiguous(memory_format=torch.channels_last)
        and not torch.is_autocast_enabled("cpu")
    )


def norm_relu(image: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """``relu(norm(image))`` in training, and the same update of the running statistics.

    Args:
        image: [n, channels, rows, columns], see ``can_fuse``; left as it is.
        norm: its parameters and buffers are used as they are.

    Returns:
        As ``image``, in its memory format.
    """
    made: tuple[Tensor, Tensor, Tensor] = _NormRelu.apply(  # type: ignore[no-untyped-call]
        image, norm.weight, norm.bias, norm.eps
    )
    y, mean, var = made
    update_running(norm, mean, var, image.numel() // image.shape[1])
    return y


@torch.no_grad()
def update_running(
    norm: nn.modules.batchnorm._BatchNorm, mean: Tensor, var: Tensor, count: Tensor | int
) -> None:
    """Running statistics after a batch, as torch updates them.

    Args:
        norm: changed in place.
        mean: [channels] of the batch.
        var: [channels], biased.
        count: values of a channel in the batch.
    """
    assert norm.running_mean is not None and norm.running_var is not None
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    new = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), new)
    norm.running_var.lerp_((var * (count / (count - 1))).to(norm.running_var.dtype), new)


class _NormRelu(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, image: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        from asd.models.norm_kernel import moments, rectify

        x = _Rows.of(image)
        about = x.values[0, : x.channels].copy()  # squares about a sample do not cancel
        sums = x.sums(moments, x.values, x.repeat(about))
        count = x.values.size // x.channels
        mean = about + sums[0] / count
        var = np.maximum(sums[1] / count - np.square(sums[0] / count), 0)
        scale = weight.numpy(force=True) / np.sqrt(var + eps)
        offset = bias.numpy(force=True) - mean * scale
        result = torch.empty_like(image)
        y = _Rows.of(result)
        x.run(rectify, x.values, x.repeat(scale), x.repeat(offset), out=y.values)
        ctx.save_for_backward(image)
        ctx.numbers = (mean, 1 / np.sqrt(var + eps), scale, offset)
        found = torch.from_numpy(mean), torch.from_numpy(var)
        ctx.mark_non_differentiable(*found)
        ctx.set_materialize_grads(False)
        return result, *found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        from asd.models.norm_kernel import backward, slopes

        if gradients[0] is None:
            return None, None, None, None
        (image,) = ctx.saved_tensors
        mean, invstd, scale, offset = ctx.numbers
        x = _Rows.of(image)
        dy = _Rows.like(gradients[0], image)
        fixed = (x.values, dy.values, x.repeat(scale), x.repeat(offset))
        sums = x.sums(slopes, *fixed, x.repeat(mean))
        d_bias, d_weight = sums[0], sums[1] * invstd
        count = x.values.size // x.channels
        tilt = -scale * invstd * d_weight / count
        level = -scale * d_bias / count - mean * tilt
        result = torch.empty_like(image)
        x.run(backward, *fixed, x.repeat(tilt), x.repeat(level), out=_Rows.of(result).values)
        as_they_are = (torch.from_numpy(d).to(image.dtype) for d in (d_weight, d_bias))
        return result, *as_they_are, None


class _Rows:
    """A tensor's memory as a matrix: several positions of all channels to a row.

    Args:
        values: [rows, columns], a view.
        channels: of the tensor; columns are a multiple of it.
    """

    def __init__(self, values: np.ndarray, channels: int) -> None:
        self.values = values
        self.channels = channels
        rows, columns = values.shape
        self.block = max(1, _BLOCK // columns)
        self.blocks = -(-rows // self.block)

    @classmethod
    def of(cls, tensor: Tensor) -> _Rows:
        channels = tensor.shape[1]
        flat = tensor.detach().movedim(1, -1)
        positions = flat.numel() // channels
        together = math.gcd(positions, 1 << max(0, (_COLUMNS // channels).bit_length() - 1))
        return cls(flat.view(positions // together, together * channels).numpy(), channels)

    @classmethod
    def like(cls, tensor: Tensor, other: Tensor) -> _Rows:
        """In the memory format of ``other``; a copy if it has another."""
        if tensor.stride() != other.stride():
            tensor = torch.empty_like(other).copy_(tensor)
        return cls.of(tensor)

    def repeat(self, numbers: np.ndarray) -> np.ndarray:
        """[channels] -> [columns], in the matrix's type."""
        times = self.values.shape[1] // self.channels
        return np.tile(numbers.astype(self.values.dtype, copy=False), times)

    def run(self, loop: Callable[..., None], *arrays: np.ndarray, out: np.ndarray) -> None:
        """The loop over all blocks, shared among torch's threads."""
        threads = min(torch.get_num_threads(), self.blocks)
        ends = [self.blocks * i // threads for i in range(threads + 1)]
        pool = _pool(os.getpid(), threads - 1) if threads > 1 else None
        waiting = [
            pool.submit(loop, *arrays, self.block, a, b, out)  # type: ignore[union-attr]
            for a, b in itertools.pairwise(ends[1:])
        ]
        loop(*arrays, self.block, 0, ends[1], out)
        for one in waiting:
            one.result()

    def sums(self, loop: Callable[..., None], *arrays: np.ndarray) -> np.ndarray:
        """What the loop adds up, [2, channels] in float64; the same whatever the threads."""
        found = np.zeros((self.blocks, 2, self.values.shape[1]))
        self.run(loop, *arrays, out=found)
        whole: np.ndarray = found.sum(0).reshape(2, -1, self.channels).sum(1)
        return whole


@functools.cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Threads beside the calling one; a forked process gets its own."""
    return ThreadPoolExecutor(threads, "norm_relu")
