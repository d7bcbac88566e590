"""What networks share: initialisation, residual blocks, upsampling done with a convolution."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F


def initialise(module: nn.Module) -> None:
    """Draw the weights of convolutions and dense layers, in order, as Keras: Glorot, zero bias."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class Residual(nn.Module):
    """Layers, and a way around them (none: the input itself), added."""

    def __init__(self, layers: Sequence[nn.Module], around: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers, self.around = nn.Sequential(*layers), nn.Sequential(*around)

    def forward(self, image: Tensor) -> Tensor:
        """Both ways give the same shape."""
        out: Tensor = self.layers(image) + self.around(image)
        return out


def upsample_and_convolve(image: Tensor, layer: nn.Conv2d, factor: tuple[int, int]) -> Tensor:
    """Nearest upsampling by ``factor``, then ``layer``, as one transposed convolution.

    Each input pixel reaches, through its ``factor`` copies, the outputs that the kernel reaches
    from any of them. So the two are one transposed convolution of stride ``factor`` whose kernel is
    the layer's, flipped and summed over a box of ``factor``: side factor + kernel - 1, the layer's
    own padding. Exact for every factor and odd kernel, boundaries included; at a kernel of 3 and a
    factor of 2, 16 multiplications per input pixel and pair of channels instead of 36.

    Args:
        image: [n, channels, rows, columns].
        layer: odd kernel, stride 1, zero padding to the same size; its parameters are used as they
            are, so that checkpoints do not depend on the form.
        factor: of (rows, columns).
    """
    rows, columns = factor
    kernel = layer.weight.flip(2, 3).transpose(0, 1)
    kernel = F.pad(kernel, (columns - 1, columns - 1, rows - 1, rows - 1))
    kernel = F.avg_pool2d(kernel, factor, stride=1) * (rows * columns)
    padding = (layer.kernel_size[0] // 2, layer.kernel_size[1] // 2)
    return F.conv_transpose2d(image, kernel, layer.bias, stride=factor, padding=padding)
