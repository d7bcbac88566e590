"""Mixup: windows of a batch, and their classes, mixed with others of it."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from asd.features.batches import Batch


def mixed(batch: Batch, probability: float, classes: int) -> Batch:
    """Some windows x, of class y, become w x + (1 - w) x', and y likewise, w uniform in [0, 1].

    x' is another window of the batch (Zhang et al., ICLR 2018), as it is: a waveform, or levels in
    dB. Drawn from torch's global generator on the CPU, whose state checkpoints hold.

    Args:
        batch: class numbers [n].
        probability: of each window; 0: the batch is returned as it is.
        classes: how many there are; the batch that is returned has shares of them [n, classes].
    """
    if probability == 0:
        return batch
    features, labels = batch.features, F.one_hot(batch.classes, classes).float()
    draw, other = torch.rand(2, len(features)), torch.randperm(len(features)).to(features.device)
    weights = torch.where(draw[0] < probability, draw[1], 1.0).to(features.device)
    w, v = weights.view(-1, 1, 1), weights.view(-1, 1)
    return Batch(w * features + (1 - w) * features[other], v * labels + (1 - v) * labels[other])
