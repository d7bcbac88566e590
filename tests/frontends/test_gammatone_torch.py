from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import made_clips

from asd.errors import AsdError
from asd.frontends.gammatone import Gammatone
from asd.frontends.gammatone_torch import features_batch

CLIPS = made_clips(16000)
EXACT = Gammatone(precision="float64")


def test_the_transform_and_the_recursion_agree_in_float64() -> None:
    names = ["noise", "quiet noise", "constant", "tone in noise, 16 bit"]
    waves = np.stack([CLIPS[name] for name in names])
    batch = features_batch(EXACT, torch.from_numpy(waves).double())
    assert batch.shape == (4, 50, 64)
    assert batch.dtype == torch.float64
    assert batch.is_contiguous()
    for wave, features in zip(waves, batch.numpy(), strict=True):
        np.testing.assert_allclose(features, EXACT.features(wave), rtol=0, atol=1e-5)


def test_float32_agrees_down_to_100_db_below_the_loudest_level() -> None:
    waves = np.stack(list(CLIPS.values()))
    batch = features_batch(Gammatone(), torch.from_numpy(waves)).numpy()
    assert batch.dtype == np.float32
    for wave, features in zip(waves, batch, strict=True):
        expected = EXACT.features(wave)
        heard = expected > expected.max() - 100
        np.testing.assert_allclose(features[heard], expected[heard], rtol=0, atol=0.01)


def test_what_rings_after_the_end_does_not_come_back_at_the_start() -> None:
    frontend = Gammatone(f_min=0, f_max=500, bands=8, precision="float64")
    wave = CLIPS["impulse at the end"]
    features = features_batch(frontend, torch.from_numpy(wave[None]).double())[0].numpy()
    assert features[:40].max() < -270  # rounding of the transform, nothing more
    np.testing.assert_allclose(features[-1], frontend.features(wave)[-1], rtol=0, atol=1e-4)


def test_other_settings_and_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    frontend = Gammatone(
        bands=11, window_seconds=0.025, hop_seconds=0.01, f_min=60, f_max=6000, repeat_last=False
    )
    waves = torch.from_numpy(np.stack([CLIPS["noise"], CLIPS["constant"], CLIPS["sweep"]]))
    whole = features_batch(frontend, waves.double())
    assert whole.shape == (3, 98, 11)
    monkeypatch.setattr("asd.frontends.gammatone_torch.NUMBERS_AT_ONCE", 1)
    torch.testing.assert_close(features_batch(frontend, waves.double()), whole)
    np.testing.assert_allclose(
        whole[0].numpy(), frontend.features(CLIPS["noise"]), rtol=0, atol=0.002
    )


@pytest.mark.parametrize(
    "waves",
    [
        torch.zeros(16000),
        torch.zeros(2, 16000, dtype=torch.int16),
        torch.zeros(2, 639),
        torch.full((1, 16000), torch.nan),
    ],
    ids=["one clip", "int16", "short", "NaN"],
)
def test_bad_clips_are_refused(waves: torch.Tensor) -> None:
    with pytest.raises(AsdError, match="clip"):
        features_batch(EXACT, waves)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu() -> None:
    wave = CLIPS["noise"]
    features = features_batch(Gammatone(), torch.from_numpy(wave[None]).cuda())
    assert features.is_cuda
    np.testing.assert_allclose(features[0].cpu().numpy(), EXACT.features(wave), rtol=0, atol=0.01)
