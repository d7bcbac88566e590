from __future__ import annotations

import pytest
import torch
from torch import nn

from asd.models.layers import upsample_and_convolve


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("factor", [(1, 1), (2, 2), (2, 5), (3, 1), (4, 2)])
@pytest.mark.parametrize("size", [(1, 1), (1, 4), (5, 3)])
def test_one_transposed_convolution_is_upsampling_and_convolution(
    kernel: int, factor: tuple[int, int], size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 4, kernel, padding="same").double()
    image = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    plain = layer(nn.Upsample(scale_factor=factor, mode="nearest")(image))
    fused = upsample_and_convolve(image, layer, factor)
    assert fused.shape == plain.shape
    # all pixels, so the boundaries too
    assert (fused - plain).abs().max() < 1e-12
    weights = torch.randn_like(plain)
    inputs = [image, layer.weight, layer.bias]
    expected = torch.autograd.grad((plain * weights).sum(), inputs)
    got = torch.autograd.grad((fused * weights).sum(), inputs)
    for a, b in zip(got, expected, strict=True):
        assert (a - b).abs().max() < 1e-12
