"""Mixup: windows of a batch, and their classes, mixed with others of it."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from asd.features.batches import Batch


def mixed(batch: Batch, probability: float, classes: int) -> Batch:
    """Some windows x, of class y, become w x + (1 - w) x', and y likewise, w uniform in [0, 1].

    x' is another window of the batch (Zhang et al., ICLR 2018). Drawn from torch's global
    generator on the CPU, whose state checkpoints hold.

    Args:
        batch: class numbers [n]; its features are mixed as they are, waveforms or levels in dB.
        probability: of each window; 0: the batch is returned as it is.
        classes: how many there are.

    Returns:
        The batch, with shares of the classes [n, classes].
    """
    if probability == 0:
        return batch
    features, labels = batch.features, F.one_hot(batch.classes, classes).float()
    n = len(features)
    draw = torch.rand(2, n)
    weights = torch.where(draw[0] < probability, draw[1], 1.0).to(features.device)
    other = torch.randperm(n).to(features.device)
    w = weights.view(n, 1, 1)
    return Batch(
        w * features + (1 - w) * features[other],
        weights[:, None] * labels + (1 - weights[:, None]) * labels[other],
    )
