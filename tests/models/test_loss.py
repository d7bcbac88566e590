from __future__ import annotations

import pytest
import torch

from asd.errors import AsdError
from asd.models.loss import ReconstructionLoss, SemiSupervisedLoss


def test_equation_1() -> None:
    mse, cce = torch.tensor([2.0, 4.0]), torch.tensor([10.0, 20.0])
    loss = SemiSupervisedLoss(alpha=0.7, classes="machine")
    assert loss.combine(mse, cce).tolist() == pytest.approx([4.4, 8.8])
    assert ReconstructionLoss().combine(mse, None).tolist() == [2.0, 4.0]


@pytest.mark.parametrize("alpha", [1.2, -0.1, True, "much"])
def test_alpha_outside_its_range_is_refused_by_name(alpha: object) -> None:
    with pytest.raises(AsdError, match=r"loss\.alpha=.*from 0 to 1"):
        SemiSupervisedLoss(alpha=alpha, classes="machine")  # type: ignore[arg-type]


def test_classes() -> None:
    assert SemiSupervisedLoss(0.5, "id").classes == "id"
    with pytest.raises(AsdError, match=r"loss\.classes=colour"):
        SemiSupervisedLoss(0.5, "colour")
