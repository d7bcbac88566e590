"""Fixtures that several test files use."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

# Before numpy: two cores are shared by all test processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import soundfile

REAL_AUDIO = Path(__file__).resolve().parents[1].parent / "shared" / "audio"

WriteClip = Callable[..., Path]
WriteCorpus = Callable[..., Path]


def _write_clip(
    path: Path,
    *,
    seed: int = 0,
    rate: int = 16000,
    seconds: float = 0.1,
    subtype: str = "PCM_16",
) -> Path:
    """Noise at a tenth of full scale."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = 0.1 * np.random.default_rng(seed).standard_normal(round(rate * seconds))
    soundfile.write(path, noise.clip(-1, 1), rate, subtype=subtype, format="WAV")
    return path


@pytest.fixture
def write_clip() -> WriteClip:
    """``write_clip(path, seed=0, rate=16000, seconds=0.1, subtype="PCM_16")``: a noise WAV."""
    return _write_clip


@pytest.fixture
def write_corpus(tmp_path: Path) -> WriteCorpus:
    """``write_corpus(...)`` writes a tiny corpus in DCASE 2020's layout and returns its root.

    Every clip is another noise. ``release`` None gives ``<root>/<machine>/{train,test}``, else
    ``<root>/<release>/<machine>/{train,test}``; call it again with the same root for another.
    ``open_test`` clips are named ``id_...``, without a label.
    """

    def write(
        *,
        root: Path | None = None,
        release: str | None = None,
        machines: Sequence[str] = ("fan", "pump"),
        ids: Sequence[str] = ("00", "02"),
        train: int = 3,
        normal: int = 2,
        anomaly: int = 2,
        open_test: int = 0,
        rate: int = 16000,
        seconds: float = 0.1,
    ) -> Path:
        root = root or tmp_path / "corpus"
        place = root if release is None else root / release
        counts = {
            "train/normal_": train,
            "test/normal_": normal,
            "test/anomaly_": anomaly,
            "test/": open_test,
        }
        for m, machine in enumerate(machines):
            for i, machine_id in enumerate(ids):
                for k, (prefix, count) in enumerate(counts.items()):
                    for n in range(count):
                        seed = n + 1000 * (k + 10 * (i + 10 * m))
                        path = place / machine / f"{prefix}id_{machine_id}_{n:08d}.wav"
                        _write_clip(path, seed=seed, rate=rate, seconds=seconds)
        return root

    return write


@pytest.fixture(scope="session")
def real_audio() -> Path:
    """Folder of real recordings in the folder layout, e.g. ``mimii_fan/fan/{train,test}``."""
    if not (REAL_AUDIO / "mimii_fan" / "fan" / "train").is_dir():
        pytest.skip("no real recordings beside the checkout")
    return REAL_AUDIO
