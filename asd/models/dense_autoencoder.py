"""B: the organisers' dense autoencoder of DCASE 2020 Task 2; IDNN, which predicts a frame."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from asd.errors import AsdError
from asd.models.layers import initialise
from asd.options import check_number, check_whole


class DenseAutoencoder(nn.Module):
    """Dense layers with batch norm and ReLU around a small bottleneck, the last layer linear.

    Args:
        bands: values a frame.
        frames: consecutive frames joined to one input vector, frame after frame.
        hidden, ...: see ``conf/model/dense_ae.yaml``; ``AsdError`` of one that cannot work.
    """

    def __init__(
        self, bands: int, frames: int, hidden: int, layers: int, embedding: int,
        norm_eps: float, norm_momentum: float,
    ) -> None:  # fmt: skip
        super().__init__()
        for option, value in (("hidden", hidden), ("layers", layers), ("embedding", embedding)):
            check_whole(f"model.{option}", value, 1)
        check_number("model.norm_eps", norm_eps, 0, above=True)
        self.embedding_size = embedding

        def stack(inputs: int, sizes: list[int]) -> nn.Sequential:
            modules: list[nn.Module] = []
            for into, out in zip([inputs, *sizes[:-1]], sizes, strict=True):
                norm = nn.BatchNorm1d(out, norm_eps, norm_momentum)
                modules += [nn.Linear(into, out), norm, nn.ReLU(inplace=True)]
            return nn.Sequential(*modules)

        self.encoder = stack(bands * frames, [hidden] * layers + [embedding])
        self.decoder = stack(embedding, [hidden] * layers)
        self.output = nn.Linear(hidden, bands * frames)
        initialise(self)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """[n, frames, bands] -> reconstruction of that shape, embeddings [n, embedding]."""
        embedding = self.encoder(features.flatten(1))
        output = self.output(self.decoder(embedding))
        return output.unflatten(1, (output.shape[1] // features.shape[2], -1)), embedding


class InterpolationDNN(DenseAutoencoder):
    """IDNN (Suefusa et al., ICASSP 2020): the frames around the middle one predict it."""

    def __init__(self, bands: int, frames: int, **options: Any) -> None:
        if frames < 3 or frames % 2 == 0:
            text = f"model=idnn: predicts the middle frame of a window, and there are {frames}"
            raise AsdError(f"{text}: window.frames must be odd, 3 or more (window=context has 5)")
        super().__init__(bands, frames - 1, **options)
        self.output = nn.Linear(options["hidden"], bands)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                layer.reset_parameters()  # to PyTorch's, where B has Keras's
        self.middle = frames // 2
        self.predicts = slice(self.middle, self.middle + 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """[n, frames, bands] -> the middle frame [n, 1, bands], embeddings [n, embedding]."""
        outer = [features[:, : self.middle], features[:, self.middle + 1 :]]
        return super().forward(torch.cat(outer, 1))
