from __future__ import annotations

import io
import logging

import pytest

from asd.progress import progress_bar


@pytest.mark.parametrize("style", ["bar", "lines", "off"])
def test_how_far_work_is(
    style: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sys.stderr", terminal := io.StringIO())
    monkeypatch.setattr("asd.progress._SECONDS", 0.0)
    caplog.set_level(logging.INFO)
    with progress_bar("U", 100, style, done=20) as advance:
        for step in range(20, 100):
            advance(1, f"epoch {step // 10 + 1}")
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == (8 if style == "lines" else 0)
    if lines:
        assert lines[0].startswith("U: 30 %, epoch 3, ") and lines[0].endswith(" s left")
        assert lines[-1].startswith("U: 100 %, epoch 10, ") and "left" not in lines[-1]
    assert ("U" in terminal.getvalue() and "100 % epoch 10" in terminal.getvalue()) == (
        style == "bar"
    )
