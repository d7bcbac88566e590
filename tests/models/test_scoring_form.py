from __future__ import annotations

from typing import Any

import pytest
import torch
from parts import CONV, DENSE, SS
from torch import nn

from asd.features.batches import Batch
from asd.models.detector import Detector
from asd.models.scoring_form import scoring_form
from asd.models.standardiser import Standardiser

CONV = {**CONV, "filters": [4, 32], "dropout": 0.2}


def trained(model: dict[str, Any]) -> Detector:
    """With statistics and scales that are not those of the start."""
    torch.manual_seed(0)
    recipe = {"bands": 10, "frames": 15, "classes": ["a", "b"], "model": model, "loss": SS}
    made = Detector(recipe, Standardiser.identity(10)).double()
    with torch.no_grad():
        for layer in made.network.modules():
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                layer.running_mean.normal_()
                layer.running_var.uniform_(0.5, 2)
                layer.weight.uniform_(-1, 2)
                layer.bias.normal_()
    return made.eval()


@pytest.mark.parametrize(
    "model",
    [CONV, {**CONV, "upsampling": "bilinear"}, DENSE],
    ids=["nearest", "bilinear", "dense"],
)
def test_errors_are_those_of_the_network_as_trained(model: dict[str, Any]) -> None:
    detector = trained(model)
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    made = scoring_form(detector)
    batch = Batch(torch.randn(4, 15, 10, dtype=torch.float64), torch.tensor([0, 1, 1, 0]))
    with torch.inference_mode():
        got, expected = made.outputs(batch), detector.outputs(batch)
    # errors and logits are float32 whatever the network
    for a, b in ((got.mse, expected.mse), (got.cce, expected.cce)):
        assert torch.allclose(a, b, rtol=1e-6, atol=0)
    assert torch.allclose(got.embedding, expected.embedding, rtol=1e-10, atol=1e-10)
    for name, value in detector.state_dict().items():
        assert torch.equal(value, before[name])
    kinds = nn.BatchNorm1d | nn.BatchNorm2d
    assert not any(isinstance(module, kinds) for module in made.network.modules())
