"""Zero mean and unit variance per band, fitted on training clips alone."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from asd.features.part import Features


class Standardiser(nn.Module):
    """Subtract ``mean`` [bands] and divide by ``std`` [bands]; both travel in the checkpoint."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: np.ndarray, std: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.as_tensor(std, dtype=torch.float32))

    def forward(self, features: Tensor) -> Tensor:
        """[..., bands] in dB -> the same shape, standardised."""
        return (features - self.mean) / self.std

    @classmethod
    def identity(cls, bands: int) -> Standardiser:
        """One that changes nothing (B)."""
        return cls(np.zeros(bands), np.ones(bands))

    @classmethod
    def fit(cls, features: Features, training: np.ndarray) -> Standardiser:
        """Mean and standard deviation per band over all frames of the ``training`` [clips] ones.

        Others are not read. A band that is constant gets the deviation 1, so that it becomes 0.
        """
        of_clips = np.split(features.values, np.cumsum(features.frames)[:-1])
        clips = [values for values, learnt in zip(of_clips, training, strict=True) if learnt]
        count = sum(map(len, clips))
        mean = sum(values.sum(axis=0, dtype=np.float64) for values in clips) / count
        std = np.sqrt(sum(np.square(values - mean).sum(axis=0) for values in clips) / count)
        # Rounding makes a constant band's deviation tiny rather than 0.
        constant = std <= 1e-6 * np.maximum(1.0, np.abs(mean))
        return cls(mean, np.where(constant, 1.0, std))
