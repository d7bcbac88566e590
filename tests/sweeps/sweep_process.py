"""A sweep as a user starts it, in a process of its own, and how far its runs are."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from asd.experiment.run_folder import RunFolder

EPOCHS = 150
SMALL = ["tracking=off", "data.machines=[fan]", "pictures=off"]
LONG = [*SMALL, f"trainer.max_epochs={EPOCHS}", "trainer.stop_patience=null"]


class SweepProcess:
    """A running sweep.

    Args:
        folder: that it is started in.
        arguments: of ``python -m asd.train -m``.
        environment: what it has more than this process.
    """

    def __init__(
        self, folder: Path, arguments: list[str], environment: Mapping[str, str] | None = None
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.arguments = folder, arguments
        self.process = subprocess.Popen(
            [sys.executable, "-m", "asd.train", "-m", *arguments], cwd=folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip

    def wait_for(self, condition: Callable[[], Any]) -> Any:
        """Wait until this is true, and give it; the test fails if the sweep ends before."""
        for _ in range(2400):
            if (value := condition()) or self.process.poll() is not None:
                break
            time.sleep(0.05)
        if not value:
            self.process.kill()
            pytest.fail(self.process.communicate()[0])
        return value

    def training(self, seed: int, least: int = 5) -> RunFolder:
        """The run of a seed, as soon as it has trained so many epochs."""
        run: RunFolder = self.wait_for(
            lambda: next((run for run in self.runs(seed) if epochs(run) >= least), None)
        )
        return run

    def runs(self, seed: int) -> list[RunFolder]:
        """The runs of a seed."""
        return [RunFolder(path) for path in (self.folder / "runs").glob(f"*-seed{seed}-*")]

    def end(self, timeout: float = 300) -> str:
        """Wait for the sweep's end; gives what it printed."""
        return self.process.communicate(timeout=timeout)[0]


def epochs(run: RunFolder) -> int:
    path = run.model("shared") / "history.csv"
    return path.read_text().count("\n") - 1 if path.exists() else 0
