"""Transforms in the graph against numpy's in float64."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from asd.deployment.fourier_graph import MatrixFourier, real_fourier


@pytest.mark.parametrize("samples", [1, 2, 7, 640, 1024, 15999, 160000])
def test_of_every_length(samples: int) -> None:
    wave = torch.randn(2, samples, generator=torch.Generator().manual_seed(0))
    exact = np.fft.rfft(wave.double().numpy())
    assert np.abs(real_fourier(wave) - exact).max() < 3e-6 * np.abs(exact).mean()


class Spectra(torch.nn.Module):
    def forward(self, wave: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        window = torch.hann_window(640)
        made = torch.stft(wave, 640, 320, window=window, pad_mode="constant", return_complex=True)
        return made.abs(), torch.fft.rfft(wave[:, :2062]).abs()


def test_in_onnxruntime(tmp_path: Path) -> None:
    """Also of 2,062 = 2 x 1,031 samples, which have no factors that are small enough."""
    wave = torch.randn(1, 16000, generator=torch.Generator().manual_seed(0))
    graph = tmp_path / "graph.onnx"
    with MatrixFourier(), warnings.catch_warnings(action="ignore"):  # of the exporter's own
        torch.onnx.export(Spectra().eval(), (wave,), graph, dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(graph)
    found = session.run(None, {session.get_inputs()[0].name: wave.numpy()})
    for one, exact in zip(found, Spectra()(wave.double()), strict=True):
        assert np.abs(one - exact.numpy()).max() < 3e-6 * exact.mean()
