"""Benchmarks run and count right; what they measure is for people to read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from parts import save_model

from benchmarks import aucs, cues, gpu
from benchmarks.cases import Case
from benchmarks.ceilings import moved_bytes
from benchmarks.training import HEADS, measure, row
from benchmarks.watch import processor_times

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("name", ["tiny", "adacos_tiny"])
def test_training_is_measured(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("benchmarks.training.SCORED_FRAMES", 1)
    figures = measure(Case.of(name, []), CPU, 1, usual=False)
    assert all(len(times) == 2 for times in figures.turns.times.values())
    cells = dict(zip(HEADS, row(figures), strict=True))
    assert cells["case"] == name
    steps = figures.turns.of("asd", 0) * figures.case.steps_an_epoch
    assert steps < figures.epoch < 10 * steps
    shares = [int(s) for s in figures.shares().split()]
    assert len(shares) == 7 and abs(sum(shares) - 100) <= 4
    assert 0 < figures.scoring < 1
    assert f"{500 * figures.epoch / 60:,.1f} min" in gpu.whole_run(figures)


def test_options_of_a_gpu_are_timed() -> None:
    case, reference = Case.of("tiny", []), {}
    cells = [gpu.time_option(case, o, CPU, 1, reference) for o in (gpu.OPTIONS[0], gpu.OPTIONS[4])]
    assert reference["best"] <= reference["step"]
    assert float(cells[0][4]) == 0
    assert 0 < float(cells[1][4]) < 1e-4
    assert "needs a GPU" in gpu.syncs(case, CPU)


def test_bytes_are_those_of_operations_and_not_of_views() -> None:
    a, b = torch.ones(10, 10), torch.ones(10, 10)
    assert moved_bytes(lambda: a.t() + b) == 3 * 400


def test_auc_differences_are_within_seeds() -> None:
    found = {aucs.AS_TRAINED: [0.70, 0.80], "other": [0.71, 0.79]}
    text = "\n".join(aucs.lines(found))
    assert "mean +0.00: +1.00 -1.00" in text
    assert f"{100 * 0.1 / math.sqrt(2):.2f}" in text
    assert "SIMULATED" in text


def test_cues_are_of_each_id(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cues.main(["scale=tiny", "data.machines=[valve]", f"data.root={tmp_path}"])
    printed = capsys.readouterr().out
    assert {"level", "deviation", "peak", "DC", "knn", "valve"} <= set(printed.split())
    # In each ID the anomaly is louder; together it is not.
    frame = pd.DataFrame({"machine": "fan", "id": ["0", "0", "1", "1"], "label": [0, 1, 0, 1]})
    table = cues.cue_aucs(frame.assign(**{cue: [3, 4, 1, 2] for cue in cues.CUES}), ["machine"])
    assert table.loc["fan", list(cues.CUES)].tolist() == [100] * 5


def test_a_watch_is_measured(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "clip.wav", np.random.default_rng(0).uniform(-1, 1, 8000), 16000)
    model = save_model(tmp_path / "model.ckpt")
    seconds, times = processor_times(model, tmp_path / "clip.wav", 3)
    assert seconds == 0.5 and len(times) == 3 and min(times) > 0
