"""Winograd's convolutions against torch's."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from asd.models.winograd import WinogradConv2d


@pytest.mark.parametrize("rectify", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (3, 2), (4, 4), (5, 9), (8, 63), (17, 70)])
def test_it_is_the_convolution(size: tuple[int, int], rectify: bool) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(5, 3, 3, padding="same", dtype=torch.float64)
    ours = WinogradConv2d(layer, rectify)
    for layout in (torch.contiguous_format, torch.channels_last):
        image = torch.randn(3, 5, *size, dtype=torch.float64).contiguous(memory_format=layout)
        with torch.inference_mode():
            expected = layer(image)
            got = ours(image)
        if rectify:
            expected = F.relu(expected)
        assert got.shape == expected.shape
        assert got.is_contiguous(memory_format=torch.channels_last)
        # every pixel, so the borders and the last, cut tiles too
        assert (got - expected).abs().max() < 1e-12


def test_its_rounding_in_float32_is_small() -> None:
    torch.manual_seed(1)
    layer = nn.Conv2d(128, 128, 3, padding="same")
    image = torch.randn(2, 128, 8, 30)
    with torch.inference_mode():
        got = WinogradConv2d(layer, False)(image)
        exact = layer.double()(image.double())
    assert (got - exact).abs().max() < 1e-5 * exact.abs().max()


def test_what_is_not_a_number_is_seen() -> None:
    layer = nn.Conv2d(2, 2, 3, padding="same")
    image = torch.zeros(1, 2, 12, 12)
    image[0, 0, 5, 5] = torch.nan
    with torch.inference_mode():
        assert WinogradConv2d(layer, True)(image)[0, :, 4:7, 4:7].isnan().all()


@pytest.mark.parametrize(
    ("layer", "suits"),
    [
        (nn.Conv2d(8, 8, 3, padding="same"), True),
        (nn.Conv2d(8, 8, 3, padding=1, bias=False), True),
        (nn.Conv2d(7, 8, 3, padding="same"), False),
        (nn.Conv2d(8, 7, 3, padding="same"), False),
        (nn.Conv2d(8, 8, 3), False),
        (nn.Conv2d(8, 8, 5, padding="same"), False),
        (nn.Conv2d(8, 8, 3, stride=2, padding=1), False),
        (nn.Conv2d(8, 8, 3, dilation=2, padding="same"), False),
        (nn.Conv2d(8, 8, 3, padding="same", groups=2), False),
        (nn.Conv2d(8, 8, 3, padding="same", padding_mode="reflect"), False),
        (nn.Linear(8, 8), False),
    ],
)
def test_which_layers_suit(layer: nn.Module, suits: bool) -> None:
    assert WinogradConv2d.suits(layer, 8) is suits
