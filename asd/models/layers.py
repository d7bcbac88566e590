"""What the autoencoders' layers share: normalisation and initialisation."""

from __future__ import annotations

from torch import nn

from asd.errors import AsdError

INITIALISATIONS = ("glorot_uniform", "torch")


def initialise(module: nn.Module, how: str) -> None:
    """Draw the weights of convolutions and dense layers.

    Args:
        module: its Conv2d and Linear layers are drawn, in order, from torch's global generator.
        how: ``glorot_uniform`` with zero bias (Keras's default) or ``torch`` (left as it is).

    Raises:
        AsdError: ``how`` is not one of these.
    """
    if how not in INITIALISATIONS:
        allowed = ", ".join(INITIALISATIONS)
        raise AsdError(f"model.initialisation={how}: must be one of {allowed}")
    if how == "torch":
        return
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
