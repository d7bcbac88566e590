from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sweep_process import SweepProcess


@pytest.fixture
def start_sweep() -> Iterator[Callable[..., SweepProcess]]:
    """``start_sweep(folder, arguments, environment)``; it does not outlive the test."""
    started: list[SweepProcess] = []

    def start(folder: Path, arguments: list[str], **environment: str) -> SweepProcess:
        started.append(SweepProcess(folder, arguments, environment))
        return started[-1]

    yield start
    for sweep in started:
        sweep.process.kill()
