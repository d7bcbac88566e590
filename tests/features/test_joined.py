from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import psutil
import pytest

from asd.features.joined import joined


def test_it_is_made_once_and_mapped(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(1000, 64)).astype(np.float32)
    made: list[int] = []

    def make() -> np.ndarray:
        made.append(1)
        return values

    first, second = (joined(tmp_path, "key", make) for _ in range(2))
    assert len(made) == 1
    assert isinstance(first, np.memmap)
    np.testing.assert_array_equal(second, values)
    first[0] = 7.0  # a copy of the page: neither the file nor other processes see it
    np.testing.assert_array_equal(joined(tmp_path, "key", make), values)
    here = [m for m in psutil.Process().memory_maps() if m.path == str(tmp_path / "key.npy")]
    assert here


@pytest.mark.parametrize("damage", ["bytes", "short", "record"])
def test_a_damaged_file_is_made_again(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    values = np.arange(640, dtype=np.float32).reshape(10, 64)
    joined(tmp_path, "key", lambda: values)
    file, record = tmp_path / "key.npy", tmp_path / "key.json"
    content = file.read_bytes()
    if damage == "bytes":
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "short":
        file.write_bytes(content[:200])
    else:
        record.write_text("{")
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(joined(tmp_path, "key", lambda: values), values)
    assert "damaged" in caplog.text
