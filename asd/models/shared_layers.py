"""Layers that look at the whole batch, when several processes have a share of it each."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from asd.models.norm_relu import update_running


def share_layers(network: nn.Module) -> None:
    """Put layers that see all processes' windows in the place of batch norms and dropouts.

    Parameters, buffers and their names stay, so that checkpoints fit one process and several.

    Args:
        network: changed in place. A process group must be there when it runs.
    """
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                setattr(module, name, SharedBatchNorm.of(child))
            elif isinstance(child, nn.Dropout) and child.p > 0:
                setattr(module, name, SharedDropout(child.p))


class SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm over the windows of all processes; a process may have none.

    torch's own SyncBatchNorm does the same on GPUs only.
    """

    @classmethod
    def of(cls, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> SharedBatchNorm:
        """One with the parameters and buffers of ``norm``, not copies of them."""
        made = cls(norm.num_features, norm.eps, norm.momentum, norm.affine)
        made.weight, made.bias = norm.weight, norm.bias
        made.running_mean, made.running_var = norm.running_mean, norm.running_var
        made.num_batches_tracked = norm.num_batches_tracked
        return made.train(norm.training)

    def _check_input_dim(self, input: Tensor) -> None:
        """Any shape: the layer that was there before has the right one."""

    def forward(self, input: Tensor) -> Tensor:
        """[n, channels, ...] -> the same shape; all processes must call it together."""
        if not self.training:
            return super().forward(input)
        mean, var, count = _statistics(input)
        update_running(self, mean, var, count)
        affine = (self.weight, self.bias)
        y: Tensor = _Normalise.apply(input, *affine, mean, var, count, self.eps)  # type: ignore[no-untyped-call]
        return y


class SharedDropout(nn.Module):
    """Dropout whose mask is drawn for the whole batch, as one process would draw it.

    The random state must be the same in all processes, and then stays the same.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, input: Tensor) -> Tensor:
        """[n, ...] -> the same shape; all processes must call it together."""
        if not self.training:
            return input
        own = torch.tensor([len(input)], device=input.device)
        counts = _gather(own).flatten().tolist()
        begin = sum(counts[: dist.get_rank()])
        shape = (sum(counts), *input.shape[1:])
        mask = F.dropout(torch.ones(shape, dtype=input.dtype, device=input.device), self.p)
        return input * mask[begin : begin + len(input)]


def _gather(own: Tensor) -> Tensor:
    """[n] of each process -> [processes, n]."""
    every = own.new_zeros(dist.get_world_size(), len(own))
    every[dist.get_rank()] = own
    dist.all_reduce(every)
    return every


def _wide(tensor: Tensor) -> Tensor:
    """In float32 at least."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


@torch.no_grad()
def _statistics(input: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """[n, channels, ...] -> mean [channels], biased variance [channels] and count [] over all."""
    channels = input.shape[1]
    own = torch.zeros(1 + 2 * channels, dtype=torch.float64, device=input.device)
    if input.numel():
        own[0] = input.numel() // channels
        mean, var = torch.batch_norm_update_stats(_wide(input), None, None, 0.0)
        own[1 : channels + 1], own[channels + 1 :] = mean, var
    every = _gather(own)
    counts, means, variances = every[:, :1], every[:, 1 : channels + 1], every[:, channels + 1 :]
    count = counts.sum()
    mean = (counts * means).sum(0) / count
    # Squares about the common mean: never the difference of two large numbers.
    var = (counts * (variances + (means - mean).square())).sum(0) / count
    return mean, var, count


class _Normalise(torch.autograd.Function):
    """(x - mean) / sqrt(var + eps) * weight + bias, with mean and var functions of all x."""

    @staticmethod
    def forward(
        ctx: Any,
        input: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        var: Tensor,
        count: Tensor,
        eps: float,
    ) -> Tensor:
        x = _wide(input)
        mean, var = mean.to(x.dtype), var.to(x.dtype)
        ctx.save_for_backward(input, weight, mean, var, count)
        ctx.eps = eps
        y = F.batch_norm(x, mean, var, weight, bias, eps=eps) if input.numel() else x.clone()
        return y.to(input.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        input, weight, mean, var, count = ctx.saved_tensors
        x, dy = _wide(input), _wide(gradients[0])
        if input.numel():
            # As if mean and var were constants; what they add needs the sums of all processes.
            dx, d_weight, d_bias = torch.ops.aten.native_batch_norm_backward(
                dy, x, weight, mean, var, None, None, False, ctx.eps, [True, True, True]
            )
        else:
            dx, d_weight, d_bias = x, torch.zeros_like(weight), torch.zeros_like(weight)
        sums = torch.stack([d_weight, d_bias])
        dist.all_reduce(sums)
        if input.numel():
            scale = weight * torch.rsqrt(var + ctx.eps) / count.to(x.dtype)
            dx = dx - F.batch_norm(x, mean, var, scale * sums[0], scale * sums[1], eps=ctx.eps)
        return dx.to(input.dtype), d_weight, d_bias, None, None, None, None
