"""The run folder: all that a run computed, and the record of how it went.

``run.json`` says what the run is and how far it is; ``config.yaml`` how it was composed;
``scores.csv`` and ``tables/`` what came out; ``models/<group>/`` holds checkpoints and histories;
``train.log`` what was said.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from asd.errors import AsdError, RunIsBusyError
from asd.files import replacing

log = logging.getLogger(__name__)

# Seconds that a lock may be held by one who only looks whether it is.
_GLANCE = 1.0

RUNNING, FINISHED, FAILED, KILLED = "RUNNING", "FINISHED", "FAILED", "KILLED"
# In the name of a folder that a run of ``force=true`` has left behind.
SET_ASIDE = "~"


class RunFolder:
    """One run's folder.

    Args:
        path: the folder; it need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.scores = path / "scores.csv"
        self.tables = path / "tables"
        self.config = path / "config.yaml"
        self.log_file = path / "train.log"

    def model(self, group: str) -> Path:
        """Folder of one trained model: ``shared``, or a machine type."""
        return self.path / "models" / group

    def models(self) -> list[Path]:
        """Folders of all trained models."""
        folder = self.path / "models"
        return sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []

    def record(self) -> dict[str, Any]:
        """Content of ``run.json``; empty when there is none.

        Raises:
            AsdError: the file is damaged.
        """
        path = self.path / "run.json"
        try:
            content = json.loads(path.read_text())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise AsdError(f"{path}: damaged ({error}); remove the run's folder") from error
        if not isinstance(content, dict):
            raise AsdError(f"{path}: damaged (no JSON object); remove the run's folder")
        return content

    def update(self, **values: Any) -> None:
        """Change entries of ``run.json``; the file is replaced whole or not at all."""
        text = json.dumps({**self.record(), **values}, indent=2, default=str) + "\n"
        with replacing(self.path / "run.json") as temporary:
            temporary.write_text(text)

    @contextmanager
    def lock(self, wait: bool = False) -> Iterator[None]:
        """Hold the folder: two processes never train the same run at once.

        Args:
            wait: for a process that holds it, as long as it does.

        Raises:
            RunIsBusyError: another process holds it.
            AsdError: the folder cannot be made.
        """
        from filelock import FileLock, Timeout

        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AsdError(
                f"{self.path}: cannot be made: {error.strerror}; set paths.runs"
            ) from error
        lock = FileLock(self.path / ".lock")
        try:
            # Not at once: `is_held` holds it for a moment.
            lock.acquire(timeout=_GLANCE)
        except Timeout as error:
            record = self.record()
            who = f"pid {record.get('pid', 'unknown')} on {record.get('host', 'this machine')}"
            if not wait:
                raise RunIsBusyError(
                    f"{self.path}: this very run is being trained by another process ({who}); "
                    "wait for it (if_running=wait) or change the seed"
                ) from error
            log.info("%s is being trained by another process (%s); waiting", self.path.name, who)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def is_held(self) -> bool:
        """Whether a process trains this run at this moment."""
        from filelock import FileLock, Timeout

        path = self.path / ".lock"
        if not path.exists():
            return False
        try:
            with FileLock(path, blocking=False):
                return False
        except Timeout:
            return True

    @contextmanager
    def logging_to_file(self) -> Iterator[None]:
        """Let ``train.log`` have what is logged meanwhile."""
        handler = logging.FileHandler(self.log_file)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        root = logging.getLogger()
        root.addHandler(handler)
        try:
            yield
        finally:
            root.removeHandler(handler)
            handler.close()


def find_run(runs: Path, name: str, identity: str) -> RunFolder:
    """The folder of the run with this identity, under whatever name; a new one if there is none.

    Args:
        runs: folder of all run folders.
        name: readable part of a new folder's name.
        identity: see ``asd.experiment.identity``.
    """
    found = sorted(p for p in runs.glob(f"*-{identity}") if p.is_dir())
    return RunFolder(found[0] if found else runs / f"{name}-{identity}")


def set_aside(folder: RunFolder) -> None:
    """Rename a folder, so that a run can start anew and nothing computed is lost."""
    number = 1
    while (aside := folder.path.with_name(f"{folder.path.name}{SET_ASIDE}{number}")).exists():
        number += 1
    log.info("%s is kept as %s", folder.path.name, aside.name)
    folder.path.rename(aside)
