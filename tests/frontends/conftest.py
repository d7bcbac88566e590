"""Clips that the front ends' tests share: made ones, and real recordings where they are there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

AUDIO = Path(__file__).resolve().parents[3] / "shared" / "audio"
RATE = 16000


def recordings() -> dict[str, np.ndarray]:
    """Three whole recordings of 10 s, where there are some."""
    paths = sorted(AUDIO.rglob("*.wav"))
    return {
        path.stem: soundfile.read(path, dtype="float32")[0]
        for path in paths[:: len(paths) // 3 or 1][:3]
    }


def sample_clips(samples: int = 24000) -> dict[str, np.ndarray]:
    """Clips float32 [samples] by name, and recordings of 10 s where there are some."""
    random = np.random.default_rng(7)
    time = np.arange(samples) / RATE
    seconds = samples / RATE
    sweep = 0.5 * np.sin(2 * np.pi * (20 * time + 7900 / (2 * seconds) * time**2))
    impulse = np.zeros(samples)
    impulse[samples // 3] = 1
    late = np.zeros(samples)
    late[-1] = -1
    tone = 0.9 * np.sin(2 * np.pi * 7000 * time) + 1e-3 * random.normal(size=samples)
    clips = {
        "noise": 0.1 * random.normal(size=samples),
        "quiet noise": 1e-4 * random.normal(size=samples),
        "sweep": sweep,
        "impulse": impulse,
        "impulse at the end": late,
        "constant": np.full(samples, 0.5),
        "tone in noise, 16 bit": np.round(tone * 32767) / 32768,
        "low tone, 16 bit": np.round(0.9 * np.sin(2 * np.pi * 30 * time) * 32767) / 32768,
        "silence": np.zeros(samples),
        "noise, then silence": 0.1 * random.normal(size=samples) * (time < seconds / 2),
    }
    return {name: clip.astype(np.float32) for name, clip in clips.items()} | recordings()
