from __future__ import annotations

import pytest
import torch
from torch import nn

from asd.errors import AsdError
from asd.models.conv_autoencoder import ConvAutoencoder
from asd.models.layers import upsample_and_convolve

SMALL = {
    "filters": [4, 6],
    "pooling": [[2, 2], [2, 5]],
    "embedding": 7,
    "kernel": 3,
    "pool": "max",
    "upsampling": "nearest",
    "padding": "zeros",
    "dropout": 0.0,
    "norm_eps": 1e-3,
    "norm_momentum": 0.1,
    "initialisation": "glorot_uniform",
}


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


def test_the_model_gives_the_same_in_either_form() -> None:
    plain = ConvAutoencoder(10, 23, **SMALL, upsampling_form="plain").double()
    fused = ConvAutoencoder(10, 23, **SMALL, upsampling_form="fused").double()
    # checkpoints go both ways
    fused.load_state_dict(plain.state_dict())
    plain.load_state_dict(fused.state_dict())
    features = torch.randn(3, 23, 10, dtype=torch.float64)
    losses = []
    for model in (plain, fused):
        reconstruction, _ = model(features)
        losses.append((reconstruction - features).square().mean())
        losses[-1].backward()
    assert abs(float(losses[0].detach() - losses[1].detach())) < 1e-12
    for (name, a), (_, b) in zip(plain.named_parameters(), fused.named_parameters(), strict=True):
        assert (a.grad - b.grad).abs().max() < 1e-12, name
    for (name, a), (_, b) in zip(plain.named_buffers(), fused.named_buffers(), strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-12), name


def test_auto_is_fused_for_nearest_and_plain_for_bilinear() -> None:
    torch.manual_seed(1)
    features = torch.randn(2, 20, 10)
    outputs = {}
    for upsampling, form in [("nearest", "auto"), ("nearest", "fused"), ("nearest", "plain")]:
        torch.manual_seed(2)
        options = {**SMALL, "upsampling": upsampling, "upsampling_form": form}
        outputs[form] = ConvAutoencoder(10, 20, **options).eval()(features)[0]
    assert torch.equal(outputs["auto"], outputs["fused"])
    assert torch.allclose(outputs["auto"], outputs["plain"], atol=1e-5)
    bilinear = {**SMALL, "upsampling": "bilinear", "upsampling_form": "auto"}
    assert ConvAutoencoder(10, 20, **bilinear)(features)[0].shape == (2, 20, 10)


def test_fused_needs_nearest() -> None:
    with pytest.raises(AsdError, match=r"model\.upsampling_form=fused"):
        ConvAutoencoder(10, 20, **{**SMALL, "upsampling": "bilinear"}, upsampling_form="fused")
    with pytest.raises(AsdError, match=r"model\.upsampling_form=fast"):
        ConvAutoencoder(10, 20, **SMALL, upsampling_form="fast")
