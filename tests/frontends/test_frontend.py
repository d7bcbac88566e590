"""What concerns all front ends: their files in conf/, and what importing them costs."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import sample_clips
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf

from asd.errors import AsdError
from asd.frontends.frontend import FrontEnd

CONF = Path(__file__).resolve().parents[2] / "conf" / "frontend"
CLIPS = sample_clips()
# Of a file that changes another's settings, that one is tested.
FILES = [path for path in sorted(CONF.glob("*.yaml")) if "defaults" not in OmegaConf.load(path)]


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def frontend(request: pytest.FixtureRequest) -> FrontEnd:
    built: FrontEnd = instantiate(OmegaConf.load(request.param))
    assert built.name == request.param.stem
    return built


def test_a_file_gives_every_setting_and_equals_the_defaults(frontend: Any) -> None:
    assert isinstance(frontend, FrontEnd)
    assert frontend == type(frontend)()
    assert hash(frontend) == hash(type(frontend)())
    named = {str(key) for key in OmegaConf.load(CONF / f"{frontend.name}.yaml")} - {"_target_"}
    assert named == {field.name for field in dataclasses.fields(frontend)}


def test_layout_and_types(frontend: FrontEnd) -> None:
    wave = CLIPS["noise"].copy()
    wave.setflags(write=False)
    features = frontend.features(wave)
    assert features.dtype == np.float32
    assert features.flags.c_contiguous
    assert features.shape == (frontend.n_frames(len(wave)), frontend.bands)
    assert np.all(np.diff(frontend.centre_frequencies()) > 0)
    # a view with strides, and float64 samples, give the same
    both = np.stack([wave, wave], axis=1)
    np.testing.assert_array_equal(frontend.features(both[:, 0]), features)
    np.testing.assert_array_equal(frontend.features(wave.astype(np.float64)), features)


@pytest.mark.parametrize("f_max", [None, 4000])
def test_a_tone_is_loudest_in_the_band_next_to_it(frontend: Any, f_max: float | None) -> None:
    if frontend.name == "waveform":
        pytest.skip("has no bands")
    frontend = dataclasses.replace(frontend, f_max=f_max)
    centres = frontend.centre_frequencies()
    assert centres.shape == (frontend.bands,)
    assert -1e-9 < centres[0] < 50 and centres[-1] < (f_max or 8000)
    wave = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype(np.float32)
    loudest = frontend.features(wave)[10].argmax()
    assert abs(loudest - np.abs(centres - 1000).argmin()) <= 1


def test_frames_of_ten_seconds(frontend: FrontEnd) -> None:
    frames = {
        "gammatone": 500,
        "mel": 313,
        "mel_normalised": 313,
        "waveform": 160000,
    }
    assert frontend.n_frames(160000) == frames[frontend.name]


def test_short_waveforms_are_repeated_from_their_start() -> None:
    from asd.frontends.waveform import Waveform

    wave = np.arange(5, dtype=np.float32) / 8
    made = Waveform(rate=4, least_seconds=3.0)
    assert made.features(wave)[:, 0].tolist() == [*wave, *wave, *wave[:2]]
    assert made.n_frames(5) == 12 and made.n_frames(13) == 13
    assert Waveform(rate=4).features(wave).shape == (5, 1)


def test_threads_do_not_disturb_one_another(frontend: FrontEnd) -> None:
    waves = [CLIPS[name] for name in ("noise", "sweep", "constant", "impulse")] * 4
    alone = [frontend.features(wave) for wave in waves]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(frontend.features, waves))
    np.testing.assert_array_equal(np.stack(together), np.stack(alone))


@pytest.mark.parametrize(
    ("wave", "message"),
    [
        (np.zeros(639, np.float32), "too short: one window takes (1|640|1024) samples"),
        (np.zeros((2, 16000), np.float32), "one channel"),
        (np.zeros(16000, np.int16), "int16"),
        (np.full(16000, np.nan, np.float32), "NaN"),
        (np.r_[np.zeros(15999), np.inf], "NaN or infinite"),
    ],
)
def test_bad_clips_are_refused(frontend: FrontEnd, wave: np.ndarray, message: str) -> None:
    if frontend.name == "waveform" and "too short" in message:
        wave = wave[:0]
    with pytest.raises(AsdError, match=message):
        frontend.features(wave)


def test_importing_front_ends_imports_nothing_large() -> None:
    program = """
import sys
import asd.frontends.frontend, asd.frontends.gammatone, asd.frontends.mel
asd.frontends.gammatone.Gammatone(), asd.frontends.mel.Mel()
large = {"numba", "torch", "torchaudio", "scipy", "gammatone", "numpy"}
print(*sorted(large & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=CONF.parents[1],
    )
    assert done.stdout.strip() == ""


BAD_SETTINGS = {
    "gammatone": "bands=0 rate=0 hop_seconds=1e-06 window_seconds=-0.1 window_seconds=nan f_min=-1 "
    "f_min=8000 f_max=8001 f_max=0 eps=0 precision=float16 hop_seconds=0 window_seconds=6e-05",
    "mel": "bands=0 bands=600 hop=0 n_fft=1 n_fft=1023 f_max=9000 f_min=8000 power=0 eps=-1 "
    "pad_mode=wrap mel_scale=bark norm=other",
}


@pytest.mark.parametrize(
    ("name", "setting"),
    [(name, setting) for name, settings in BAD_SETTINGS.items() for setting in settings.split()],
)
def test_bad_settings_are_named(name: str, setting: str) -> None:
    config = OmegaConf.load(CONF / f"{name}.yaml")
    config.merge_with_dotlist([setting])
    with pytest.raises(InstantiationException, match=f"frontend.{setting}") as raised:
        instantiate(config)
    assert isinstance(raised.value.__cause__, AsdError)
