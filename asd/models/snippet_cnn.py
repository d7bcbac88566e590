"""The residual CNN of Primus et al. (DCASE 2020 Task 2), whose embeddings are local."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from asd.errors import AsdError
from asd.models.layers import Residual
from asd.options import check_whole


class SnippetCNN(nn.Module):
    """Convolution 5 x 5 of stride 2, then stages of residual blocks; no biases.

    Args:
        bands: height of the input.
        frames: its width.
        filters: of the convolutions, times ``widths``.
        kernels: of each stage and block, the sides of its two convolutions; padding is side // 3.
            Between stages is max pooling by 2.
        widths: of each stage and block.

    Raises:
        AsdError: an option has a value that cannot work.
    """

    reconstructs = False

    def __init__(
        self,
        bands: int,
        frames: int,
        filters: int,
        kernels: Sequence[Sequence[Sequence[int]]],
        widths: Sequence[Sequence[int]],
    ) -> None:
        super().__init__()
        check_whole("model.filters", filters, 1)
        if [len(stage) for stage in kernels] != [len(stage) for stage in widths]:
            raise AsdError(f"model.widths={widths}: must have one for each of model.kernels")
        if ((min(bands, frames) - 1) // 2) >> (len(kernels) - 1) < 1:
            raise AsdError(
                f"model.kernels: {len(kernels)} stages leave nothing of windows of {bands} bands "
                f"and {frames} frames"
            )
        layers = [*_convolution(1, filters, 5, 2), nn.ReLU()]
        into = filters
        for stage, (sides, multiples) in enumerate(zip(kernels, widths, strict=True)):
            layers += [nn.MaxPool2d(2)] if stage else []
            for (first, second), multiple in zip(sides, multiples, strict=True):
                out = multiple * filters
                inner = [
                    *_convolution(into, out, first),
                    nn.ReLU(),
                    *_convolution(out, out, second),
                ]
                around = _convolution(into, out, 1) if into != out else []
                layers += [Residual(inner, around), nn.ReLU()]
                into = out
        self.layers = nn.Sequential(*layers)
        self.embedding_size = into

    def forward(self, features: Tensor) -> tuple[None, Tensor]:
        """[n, frames, bands] -> no reconstruction, local embeddings [n, size, positions]."""
        return None, self.layers(features.transpose(1, 2).unsqueeze(1)).flatten(2)


def _convolution(inputs: int, outputs: int, side: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, side, stride, side // 3, bias=False)
    return [convolution, nn.BatchNorm2d(outputs)]
