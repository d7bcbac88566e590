from __future__ import annotations

import pytest
import torch
from parts import CONV, options_of

from asd.errors import AsdError
from asd.models.conv_autoencoder import ConvAutoencoder

PAPER = options_of(
    CONV, filters=[32, 64, 128], pooling=[[2, 2]] * 3, embedding=128, norm_momentum=0.01
)
SMALL = {**PAPER, "filters": [4, 6], "pooling": [[2, 2], [2, 5]], "embedding": 7}


def keras_count(model: torch.nn.Module) -> int:
    """Parameters as Keras counts them: with batch norm's running statistics."""
    statistics = sum(b.numel() for name, b in model.named_buffers() if "running" in name)
    return statistics + sum(p.numel() for p in model.parameters())


def test_parameters_are_those_that_the_authors_networks_have() -> None:
    # PAPER.md's counts: pooling 2x2 three times (496 frames), and the team's other pooling (500).
    assert keras_count(ConvAutoencoder(64, 496, **PAPER)) == 17_040_449
    wide = {**PAPER, "pooling": [[2, 10], [2, 5], [2, 5]]}
    assert keras_count(ConvAutoencoder(64, 500, **wide)) == 1_250_369


@pytest.mark.parametrize("frames", [20, 23, 25])
def test_any_length_comes_back_at_its_length(frames: int) -> None:
    model = ConvAutoencoder(10, frames, **SMALL)
    reconstruction, embedding = model(torch.randn(3, frames, 10))
    assert reconstruction.shape == (3, frames, 10)
    assert embedding.shape == (3, 7)


def test_padding_does_not_enter_the_loss() -> None:
    # The gradient of an error on the cropped output is finite, and every real frame receives one.
    model = ConvAutoencoder(10, 23, **SMALL).eval()
    features = torch.randn(2, 23, 10, requires_grad=True)
    reconstruction, _ = model(features)
    (gradient,) = torch.autograd.grad(reconstruction.square().sum(), features)
    assert torch.isfinite(gradient).all()
    assert (gradient.abs().sum(dim=(0, 2)) > 0).all()


def test_block_has_the_papers_seven_layers() -> None:
    block = ConvAutoencoder(10, 20, **SMALL).encoder[0]
    kinds = [type(layer).__name__ for layer in block]
    assert kinds == ["Conv2d", "BatchNorm2d", "ReLU"] * 2 + ["MaxPool2d"]


def test_bottleneck_is_linear() -> None:
    model = ConvAutoencoder(10, 20, **SMALL).eval()
    embedding = torch.randn(4, 7)
    middle = model.from_embedding(embedding) + model.from_embedding(-embedding)
    assert torch.allclose(middle, 2 * model.from_embedding.bias.expand_as(middle), atol=1e-6)


def test_initialisation_is_keras_default() -> None:
    model = ConvAutoencoder(64, 496, **PAPER)
    layer = model.to_embedding
    bound = (6 / (layer.in_features + layer.out_features)) ** 0.5
    assert layer.weight.abs().max() <= bound
    assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.01)
    assert not layer.bias.any()
    assert model.encoder[0][1].eps == 1e-3
    assert model.encoder[0][1].momentum == 0.01


def test_the_model_gives_the_same_in_either_form() -> None:
    plain, fused = (ConvAutoencoder(10, 23, **SMALL).double() for _ in range(2))
    plain.upsampling_fused = False
    assert fused.upsampling_fused
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


def test_bilinear_upsampling_is_not_fused() -> None:
    model = ConvAutoencoder(10, 20, **{**SMALL, "upsampling": "bilinear"})
    assert not model.upsampling_fused
    assert model(torch.randn(2, 20, 10))[0].shape == (2, 20, 10)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("filters", []),
        ("filters", [4, 0]),
        ("pooling", [[2, 2]]),
        ("pooling", [[2, 2], [2, 0]]),
        ("embedding", 0),
        ("kernel", 4),
        ("pool", "median"),
        ("upsampling", "cubic"),
        ("dropout", 1.0),
        ("norm_eps", 0.0),
    ],
)
def test_bad_options_are_named(option: str, value: object) -> None:
    with pytest.raises(AsdError, match=rf"model\.{option}="):
        ConvAutoencoder(10, 20, **{**SMALL, option: value})
