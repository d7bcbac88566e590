"""Network of a waveform: its spectrogram, and the spectrum of the whole window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from asd.errors import AsdError
from asd.models.layers import Residual
from asd.options import check_number


class SpectralBranches(nn.Module):
    """Embeddings of magnitude spectrograms, one or several, and of the window's magnitude spectrum.

    The network ``dis_spec`` of ASDKit: no biases, batch norms without scale and shift.

    Args: ``bands`` is 1, of a waveform, and ``frames`` samples; the others are those of
    conf/model/spectral_branches.yaml; ``AsdError`` of one that cannot work.
    """

    reconstructs = False

    def __init__(
        self, bands: int, frames: int, rate: int, stfts: Sequence[Sequence[int]], f_min: float,
        f_max: float, filters: Sequence[int], blocks: int, spectrum_filters: int,
        spectrum_kernels: Sequence[Sequence[int]], spectrum_layers: int, reduction: int, size: int,
    ) -> None:  # fmt: skip
        super().__init__()
        if bands != 1:
            raise AsdError("model=spectral_branches: its input is a waveform: frontend=waveform")
        check_number("model.f_max", f_max, 0, rate / 2, above=True)
        check_number("model.f_min", f_min, 0, f_max)
        self.embedding_size = size * (len(stfts) + 1)
        self.spectrograms = nn.ModuleList()
        for window, hop in stfts:
            lines = range(-int(-f_min * window // rate), int(f_max * window // rate) + 1)
            shape = len(lines), frames // hop + 1
            height, width = (-(-n // 2 ** (len(filters) + 1)) for n in shape)  # after the strides
            flat = filters[-1] * height
            layers = [Spectrogram(window, hop, lines), *_residual(filters, blocks, reduction)]
            layers += [nn.MaxPool2d((1, width)), nn.Flatten()]  # the maxima over time
            layers += [nn.BatchNorm1d(flat, affine=False), nn.Linear(flat, size, bias=False)]
            self.spectrograms.append(nn.Sequential(*layers))
        layers, into, length = [], 1, frames // 2 + 1
        for kernel, stride in spectrum_kernels:
            convolution = nn.Conv1d(into, spectrum_filters, kernel, stride, bias=False)
            layers += [convolution, nn.ReLU(), Excitation(spectrum_filters, reduction)]
            into, length = spectrum_filters, (length - kernel) // stride + 1
        if length < 1:
            raise AsdError(f"model.spectrum_kernels: longer than the spectrum of {frames} samples")
        layers.append(nn.Flatten())
        for inputs in [into * length] + [size] * (spectrum_layers - 1):
            dense = nn.Linear(inputs, size, bias=False)
            layers += [dense, nn.BatchNorm1d(size, affine=False), nn.ReLU()]
        self.spectrum = nn.Sequential(*layers, nn.Linear(size, size, bias=False))

    def forward(self, features: Tensor) -> tuple[None, Tensor]:
        """[n, samples, 1] -> no reconstruction, embeddings [n, embedding_size]."""
        wave = features.squeeze(2)
        spectrum = self.spectrum(torch.fft.rfft(wave).abs().unsqueeze(1))
        return None, torch.cat([*(branch(wave) for branch in self.spectrograms), spectrum], 1)


class Spectrogram(nn.Module):
    """[n, samples] -> magnitudes of some lines [n, 1, lines, frames], through batch norm."""

    hann: Tensor

    def __init__(self, window: int, hop: int, lines: range) -> None:
        super().__init__()
        self.register_buffer("hann", torch.hann_window(window), persistent=False)
        self.hop, self.lines = hop, slice(lines.start, lines.stop)
        self.norm = nn.BatchNorm1d(len(lines), affine=False)

    def forward(self, wave: Tensor) -> Tensor:
        """Centred windows, zeros beyond the ends; normalised by the window's energy."""
        given: dict[str, Any] = {"window": self.hann / self.hann.norm(), "pad_mode": "constant"}
        made = torch.stft(wave, len(self.hann), self.hop, return_complex=True, **given)
        image: Tensor = self.norm(made[:, self.lines].abs())
        return image.unsqueeze(1)


class Excitation(nn.Module):
    """Squeeze and excitation: [n, channels, ...] weighted by its means (Hu et al., CVPR 2018)."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        inner = max(1, channels // reduction)
        self.down = nn.Linear(channels, inner, bias=False)
        self.up = nn.Linear(inner, channels, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        """The same shape."""
        weights: Tensor = self.up(self.down(image.flatten(2).mean(2)).relu()).sigmoid()
        return image * weights.view(*weights.shape, *[1] * (image.ndim - 2))


def _residual(filters: Sequence[int], blocks: int, reduction: int) -> list[nn.Module]:
    """Of the image; halves its sides with the first convolution, pooling, and later stages."""
    into = filters[0]
    norm = nn.BatchNorm2d(into, affine=False)
    layers = [nn.Conv2d(1, into, 7, 2, 3, bias=False), norm, nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    for number in range(len(filters) * blocks):
        out = filters[number // blocks]
        halves = number >= blocks and number % blocks == 0
        inner: list[nn.Module] = []
        for inputs, stride in ((into, 2 if halves else 1), (out, 1)):
            convolution = nn.Conv2d(inputs, out, 3, stride, 1, bias=False)
            inner += [nn.BatchNorm2d(inputs, affine=False), nn.ReLU(), convolution]
        inner.append(Excitation(out, reduction))
        around = [nn.MaxPool2d(3, 2, 1), nn.Conv2d(into, out, 1, bias=False)] if halves else []
        layers.append(Residual(inner, around))
        into = out
    return layers
