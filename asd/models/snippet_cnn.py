"""The residual CNN of Primus et al. (DCASE 2020 Task 2), whose embeddings are of parts."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from asd.errors import AsdError
from asd.models.layers import Residual
from asd.options import check_whole


class SnippetCNN(nn.Module):
    """Convolution 5 x 5 of stride 2, then stages of residual blocks; no biases.

    Args:
        bands, frames: height and width of the input.
        filters, stages: see ``conf/model/snippet_cnn.yaml``; ``AsdError`` of what cannot work.
    """

    reconstructs = False

    def __init__(
        self, bands: int, frames: int, filters: int, stages: Sequence[Sequence[Sequence[int]]]
    ) -> None:
        super().__init__()
        check_whole("model.filters", filters, 1)
        if ((min(bands, frames) - 1) // 2) >> (len(stages) - 1) < 1:
            raise AsdError(f"model.stages: too many for windows of {bands} bands, {frames} frames")
        layers, into = [*_convolution(1, filters, 5, 2), nn.ReLU()], filters
        for number, blocks in enumerate(stages):
            layers += [nn.MaxPool2d(2)] if number else []
            for first, second, multiple in blocks:
                out = multiple * filters
                inner = [*_convolution(into, out, first), nn.ReLU()]
                inner += _convolution(out, out, second)
                around = _convolution(into, out, 1) if into != out else []
                layers += [Residual(inner, around), nn.ReLU()]
                into = out
        self.layers = nn.Sequential(*layers)
        self.embedding_size = into

    def forward(self, features: Tensor) -> tuple[None, Tensor]:
        """[n, frames, bands] -> no reconstruction, embeddings [n, size, positions]."""
        return None, self.layers(features.transpose(1, 2).unsqueeze(1)).flatten(2)


def _convolution(inputs: int, outputs: int, side: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, side, stride, side // 3, bias=False)
    return [convolution, nn.BatchNorm2d(outputs)]
