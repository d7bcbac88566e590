from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sweep_process import LONG, SweepProcess


@pytest.fixture
def start_sweep(shared_data: list[str], tmp_path: Path) -> Iterator[Callable[..., SweepProcess]]:
    """``start_sweep(arguments, environment)``; it does not outlive the test."""
    started: list[SweepProcess] = []

    def start(*arguments: str, **environment: str) -> SweepProcess:
        started.append(SweepProcess(tmp_path / "swept", [*shared_data, *arguments], environment))
        return started[-1]

    yield start
    for sweep in started:
        sweep.process.kill()


@pytest.fixture
def undisturbed(run_train: Callable[..., int], tmp_path: Path) -> Callable[[], str]:
    """Gives the scores of ``LONG`` with seed 1, trained in one go."""

    def scores() -> str:
        assert run_train(*LONG, "seed=1", "paths.runs=undisturbed") == 0
        (path,) = (tmp_path / "undisturbed").glob("*/scores.csv")
        return path.read_text()

    return scores
