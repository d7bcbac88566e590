"""U: the paper's convolutional autoencoder (section 3.2, figures 1 and 3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain

from torch import Tensor, nn
from torch.nn import functional as F

from asd.errors import AsdError
from asd.models.layers import initialise, upsample_and_convolve
from asd.options import check_choice, check_number, check_whole

POOLS = {"max": nn.MaxPool2d, "mean": nn.AvgPool2d}


class ConvAutoencoder(nn.Module):
    """ConvBlocks down to a dense bottleneck, and up again.

    A ConvBlock has seven layers: convolution, batch norm and ReLU twice, then pooling (encoder) or
    upsampling (decoder). The decoder mirrors the encoder and ends with one more convolution, of one
    filter, linear.

    Args:
        bands: height of the input.
        frames: width of the input; padded inside with zeros to a multiple of the pooling, the
            output cropped.
        filters, ...: see ``conf/model/conv_ae.yaml``; ``AsdError`` of one that cannot work.

    Where ``upsampling_fused``, nearest upsampling and the convolution after it are computed as one
    transposed convolution, which is faster (docs/performance.md); all else is the same.
    """

    def __init__(
        self, bands: int, frames: int, filters: Sequence[int], pooling: Sequence[Sequence[int]],
        embedding: int, kernel: int, pool: str, upsampling: str, dropout: float,
        norm_eps: float, norm_momentum: float,
    ) -> None:  # fmt: skip
        super().__init__()
        _check_blocks(filters, pooling, kernel)
        check_whole("model.embedding", embedding, 1)
        check_choice("model.pool", pool, tuple(POOLS))
        check_choice("model.upsampling", upsampling, ("nearest", "bilinear"))
        check_number("model.dropout", dropout, 0, 0.99)
        check_number("model.norm_eps", norm_eps, 0, above=True)
        self.upsampling_fused = upsampling == "nearest"
        self.embedding_size = embedding
        factors = [(int(p[0]), int(p[1])) for p in pooling]
        height, width = map(math.prod, zip(*factors, strict=True))
        for size, product, axis in ((bands, height, "bands"), (frames, width, "frames")):
            if product > size:  # most of what the network sees would be padding
                pools = f"pools {product} {axis} into one"
                raise AsdError(f"model.pooling={pooling}: {pools}, and there are {size}")
        self._pad = (0, -frames % width, 0, -bands % height)
        self._size = (bands, frames)
        inner = (filters[-1], math.ceil(bands / height), math.ceil(frames / width))

        def block(inputs: int, outputs: int, last: nn.Module) -> nn.Sequential:
            layers: list[nn.Module] = []
            for into in (inputs, outputs):
                convolution = nn.Conv2d(into, outputs, kernel, padding="same")
                norm = nn.BatchNorm2d(outputs, norm_eps, norm_momentum)
                layers += [convolution, norm, nn.ReLU(inplace=True)]
            return nn.Sequential(*layers, last)

        down = zip([1, *filters[:-1]], filters, factors, strict=True)
        self.encoder = nn.Sequential(*(block(i, o, POOLS[pool](f)) for i, o, f in down))
        flat = math.prod(inner)
        self.to_embedding = nn.Linear(flat, embedding)
        self.dropout = nn.Dropout(dropout)
        self.from_embedding = nn.Linear(embedding, flat)
        self.unflatten = nn.Unflatten(1, inner)
        backwards = list(reversed(filters))
        up = zip([filters[-1], *backwards[:-1]], backwards, reversed(factors), strict=True)
        blocks = (block(i, o, nn.Upsample(None, f, upsampling)) for i, o, f in up)
        self.decoder = nn.Sequential(*blocks)
        self.output = nn.Conv2d(filters[0], 1, kernel, padding="same")
        initialise(self)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """[n, frames, bands] -> reconstruction of that shape, embeddings [n, embedding]."""
        image = F.pad(features.transpose(1, 2).unsqueeze(1), self._pad)
        embedding = self.to_embedding(self.encoder(image).flatten(1))
        image = self.unflatten(self.from_embedding(self.dropout(embedding)))
        layers = iter([*chain(*self.decoder), self.output])
        for layer in layers:
            if self.upsampling_fused and isinstance(layer, nn.Upsample):
                rows, columns = layer.scale_factor  # type: ignore[misc]
                # The upsampling that ends a block goes with the convolution that begins the next.
                image = upsample_and_convolve(image, next(layers), (int(rows), int(columns)))
            else:
                image = layer(image)
        bands, frames = self._size
        return image[:, 0, :bands, :frames].transpose(1, 2), embedding


def _check_blocks(filters: Sequence[int], pooling: Sequence[Sequence[int]], kernel: int) -> None:
    pairs = [p for p in pooling if isinstance(p, Sequence) and len(p) == 2]
    if not 0 < len(filters) == len(pooling) == len(pairs):
        text = f"one pair (bands, frames) for each of the model.filters={filters}"
        raise AsdError(f"model.pooling={pooling}: must be {text}")
    for option, values in (("filters", filters), ("pooling", chain(*pairs)), ("kernel", [kernel])):
        for value in values:
            check_whole(f"model.{option}", value, 1)
    if kernel % 2 == 0:
        raise AsdError(f"model.kernel={kernel}: must be an odd number")
