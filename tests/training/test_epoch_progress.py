from __future__ import annotations

import io
import logging
from pathlib import Path

import pytest
from tiny import data, detector, options

from asd.training.epoch_progress import ProgressListener
from asd.training.fit import fit


@pytest.mark.parametrize("style", ["bar", "lines", "off"])
def test_it_says_the_epoch_and_the_best_loss_of_all_starts(
    style: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sys.stderr", terminal := io.StringIO())
    caplog.set_level(logging.INFO)
    listener = ProgressListener(style)
    listener.model_started("shared", [{"val/loss": 1e-3}])
    callbacks = listener.trainer_callbacks("U", 3)
    told = lambda epoch, values: listener.epoch_ended("shared", epoch, values)  # noqa: E731
    fit(detector(), data(), options(), 0, tmp_path, told, callbacks)
    assert caplog.text.count("best 0.0010") == (3 if style == "lines" else 0)
    assert ("U epoch 3/3" in terminal.getvalue()) == (style == "bar")
