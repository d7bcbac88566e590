"""3 x 3 convolutions with a quarter of the multiplications, for scoring on a CPU.

Winograd's F(4 x 4, 3 x 3) (Lavin and Gray, Fast algorithms for convolutional neural networks,
2015): a tile of 16 outputs takes 36 products an input and output channel instead of 144. The result
is that of the convolution but for rounding, in float32 up to 1e-5 of the largest output.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

# G of F(4, 3): what a kernel of three is turned into.
_KERNEL = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
# Tiles at a time: their products stay in the cache.
_TILES = 250


class WinogradConv2d(nn.Module):
    """A convolution of side 3, stride 1 and zero padding to the same size, without gradients.

    Args:
        layer: the convolution; its weights are copied.
        rectify: whether a ReLU follows.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, layer: nn.Conv2d, rectify: bool) -> None:
        super().__init__()
        wide = layer.weight.detach().double()
        g = torch.tensor(_KERNEL, dtype=torch.float64)
        products = torch.einsum("ia,jb,ocab->ijco", g, g, wide).flatten(0, 1)
        self.register_buffer("weight", products.to(layer.weight.dtype).contiguous())
        bias = layer.bias if layer.bias is not None else torch.zeros(len(wide))
        self.register_buffer("bias", bias.detach().clone())
        self._least = 0.0 if rectify else -math.inf

    @staticmethod
    def suits(layer: nn.Module, least: int) -> bool:
        """Whether ``layer`` is such a convolution of at least so many channels in and out."""
        return (
            isinstance(layer, nn.Conv2d)
            and layer.kernel_size == (3, 3)
            and layer.stride == (1, 1)
            and layer.dilation == (1, 1)
            and layer.padding in ("same", (1, 1))
            and layer.padding_mode == "zeros"
            and layer.groups == 1
            and min(layer.in_channels, layer.out_channels) >= least
        )

    def forward(self, image: Tensor) -> Tensor:
        """[n, channels in, rows, columns] -> [n, channels out, rows, columns], channels last."""
        from asd.models.winograd_kernel import gather, scatter

        n, inputs, rows, columns = image.shape
        outputs = self.weight.shape[2]
        x = image.contiguous(memory_format=torch.channels_last).movedim(1, 3)
        y = image.new_empty((n, rows, columns, outputs))
        count = n * -(-rows // 4) * -(-columns // 4)
        # A leading stride that is no power of two: the 36 products of a tile would share a few
        # places of the cache.
        spread = image.new_empty((36, _TILES, inputs))
        products = image.new_empty((36, _TILES, outputs))
        arrays = (x.numpy(), self.bias.numpy(), y.numpy())
        for first in range(0, count, _TILES):
            last = min(first + _TILES, count)
            some, made = spread[:, : last - first], products[:, : last - first]
            scatter(arrays[0], first, last, some.numpy())
            torch.bmm(some, self.weight, out=made)
            gather(made.numpy(), arrays[1], self._least, first, last, arrays[2])
        return y.movedim(3, 1)

    def extra_repr(self) -> str:
        """Sizes, for ``print``."""
        return f"{self.weight.shape[1]}, {self.weight.shape[2]}"
