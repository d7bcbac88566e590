from __future__ import annotations

import pytest
import torch
from parts import DENSE, options_of

from asd.errors import AsdError
from asd.models.dense_autoencoder import DenseAutoencoder

B = options_of(DENSE, hidden=128, layers=4, embedding=8, norm_momentum=0.01)


def test_parameters_are_the_organisers() -> None:
    model = DenseAutoencoder(128, 5, **B)
    statistics = sum(b.numel() for name, b in model.named_buffers() if "running" in name)
    assert statistics + sum(p.numel() for p in model.parameters()) == 269_992


def test_layers_are_the_organisers() -> None:
    model = DenseAutoencoder(128, 5, **B)
    sizes = [(m.in_features, m.out_features) for m in model.modules() if hasattr(m, "in_features")]
    down = [(640, 128), (128, 128), (128, 128), (128, 128), (128, 8)]
    up = [(8, 128), (128, 128), (128, 128), (128, 128), (128, 640)]
    assert sizes == down + up
    kinds = [type(layer).__name__ for layer in model.encoder]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU"] * 5


def test_shapes() -> None:
    features = torch.randn(6, 5, 128)
    reconstruction, embedding = DenseAutoencoder(128, 5, **B)(features)
    assert reconstruction.shape == features.shape
    assert embedding.shape == (6, 8)
    assert (embedding >= 0).all()


@pytest.mark.parametrize("option", ["hidden", "layers", "embedding"])
def test_bad_options_are_named(option: str) -> None:
    with pytest.raises(AsdError, match=rf"model\.{option}=0"):
        DenseAutoencoder(128, 5, **{**B, option: 0})
