"""What concerns all front ends: their files in conf/, and what importing them costs."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

CONF = Path(__file__).resolve().parents[2] / "conf" / "frontend"
FILES = sorted(CONF.glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_gives_every_setting_and_equals_the_defaults(path: Path) -> None:
    settings = OmegaConf.load(path)
    frontend = instantiate(settings)
    assert frontend.name == path.stem
    assert frontend == type(frontend)()
    named = {str(key) for key in settings} - {"_target_"}
    assert named == {field.name for field in dataclasses.fields(frontend)}


def test_there_are_three() -> None:
    assert [path.stem for path in FILES] == ["gammatone", "gammatone_fft", "mel"]


def test_importing_front_ends_imports_nothing_large() -> None:
    program = """
import sys
import asd.frontends.frontend, asd.frontends.gammatone, asd.frontends.gammatone_fft
import asd.frontends.gammatone_torch, asd.frontends.mel, asd.frontends.torchaudio_loader
asd.frontends.gammatone.Gammatone(), asd.frontends.mel.Mel()
asd.frontends.gammatone_fft.GammatoneFFT()
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
