"""Networks of the presets at the published settings: sizes, and what they compute."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from asd.composition import build, compose_config, plain
from asd.errors import AsdError
from asd.models.detector import Detector


def detector(experiment: str, bands: int, frames: int, classes: list[str], *more: str) -> Detector:
    config = plain(compose_config([f"+experiment={experiment}", "scale=paper", *more]))
    recipe = {part: config[part] for part in ("model", "loss")}
    recipe |= {"bands": bands, "frames": frames, "classes": classes}
    torch.manual_seed(0)
    return Detector(recipe)


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


IDS = [f"fan/{n:02d}" for n in range(41)]


def test_sizes_are_the_published_ones() -> None:
    """FRONTIER.md, table 2.3: counted there from the authors' code."""
    assert parameters(detector("idnn", 128, 5, [])) == 185_496
    adacos = detector("adacos", 1, 176_000, IDS)
    assert parameters(adacos.network) == 2_511_952
    assert adacos.classifier is not None
    assert parameters(adacos.classifier) == 167_936
    several = "model.stfts=[[256,128],[1024,512],[4096,2048]]"
    multi = detector("adacos", 1, 176_000, IDS, several)
    assert parameters(multi.network) == 5_016_816
    assert multi.classifier is not None
    assert parameters(multi.classifier) == 335_872
    for filters, published in ((128, 2_240_898), (64, 563_394)):
        exposed = detector("oe", 128, 256, IDS[:1], f"model.filters={filters}")
        assert parameters(exposed) == published


def test_idnn_predicts_the_middle_frame_from_the_others() -> None:
    network = detector("idnn", 6, 5, []).network.eval()
    windows = torch.randn(3, 5, 6)
    output, embedding = network(windows)
    assert output.shape == (3, 1, 6) and embedding.shape == (3, 8)
    changed = windows.clone()
    changed[:, 2] += 1
    assert torch.equal(network(changed)[0], output)
    first, *others = network.encoder
    row = torch.cat([windows[:, :2], windows[:, 3:]], 1).flatten(1)
    expected = row
    for layer in (first, *others, *network.decoder, network.output):
        expected = layer(expected)
    torch.testing.assert_close(output[:, 0], expected)
    with pytest.raises(AsdError, match=r"window\.frames must be odd"):
        detector("idnn", 6, 4, [])


def test_the_spectrogram_is_scipys() -> None:
    from scipy.signal import ShortTimeFFT
    from scipy.signal.windows import hann

    wave = np.random.default_rng(0).standard_normal(16_000)
    network = detector("adacos", 1, 176_000, IDS).network.eval()
    first = network.spectrograms[0][0]  # type: ignore[index]
    got = first(torch.from_numpy(wave)[None].float())[0, 0]
    window = hann(1024, sym=False)
    transform = ShortTimeFFT(window, 512, 16_000, fft_mode="onesided")
    frames = transform.stft(wave, p0=0, p1=got.shape[1])
    expected = np.abs(frames) / np.sqrt(np.square(window).sum())
    inside = (transform.f >= 200) & (transform.f <= 8000)
    assert inside.sum() == 500 == got.shape[0]
    # batch norm in evaluation, fresh: divided by sqrt(1 + eps)
    np.testing.assert_allclose(got, expected[inside] / np.sqrt(1 + 1e-5), atol=1e-4)


def test_a_loud_line_is_in_both_branches_only_where_it_belongs() -> None:
    network = detector("adacos", 1, 176_000, IDS).network.eval()
    seconds = torch.arange(176_000) / 16_000
    image = network.spectrograms[0][0](torch.sin(2 * np.pi * 1000 * seconds)[None])  # type: ignore[index]
    # line 64 of 1024 is 1000 Hz; the first kept is 13
    assert int(image[0, 0].mean(1).argmax()) == 64 - 13


def test_what_cannot_work_is_refused_by_name() -> None:
    with pytest.raises(AsdError, match="frontend=waveform"):
        detector("adacos", 64, 500, IDS)
    with pytest.raises(AsdError, match="longer than the spectrum"):
        detector("adacos", 1, 16_000, IDS)
    with pytest.raises(AsdError, match=r"model\.stages: too many"):
        detector("oe_shared", 128, 12, IDS)
    with pytest.raises(AsdError, match="SpectralBranches reconstructs nothing"):
        detector("adacos", 1, 176_000, IDS, "loss=mse")


def test_mel_of_a_normalised_clip_does_not_hear_its_level() -> None:
    config = plain(compose_config(["+experiment=oe_shared"]))
    frontend = build(config["frontend"], "frontend")
    wave = np.random.default_rng(0).standard_normal(16_000)
    quiet = frontend.features(0.01 * wave + 0.3)
    np.testing.assert_allclose(quiet, frontend.features(wave), atol=1e-3)
    plain_mel = build({**config["frontend"], "_target_": "asd.frontends.mel.Mel"}, "frontend")
    scaled = (wave - wave.mean()) / wave.std()
    np.testing.assert_allclose(quiet, plain_mel.features(scaled), atol=1e-3)
