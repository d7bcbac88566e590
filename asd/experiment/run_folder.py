"""The run folder: all that a run computed, and the record of how it went.

``run.json`` says what the run is and how far it is; ``config.yaml`` how it was composed;
``scores.csv`` and ``tables/`` what came out; ``models/<group>/`` holds checkpoints and histories;
``train.log`` what was said.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from asd.errors import AsdError, RunIsBusyError
from asd.files import check_regular, locked, write_text

log = logging.getLogger(__name__)

# Seconds that a lock may be held by one who only looks whether it is.
_GLANCE = 1.0

RUNNING, FINISHED, FAILED, KILLED = "RUNNING", "FINISHED", "FAILED", "KILLED"
# In the name of a folder that a run of ``force=true`` has left behind.
SET_ASIDE = "~"
# Of entries of ``run.json``, which may have been written by anyone.
_KINDS = {
    "status": str, "tags": dict, "params": dict, "mlflow": dict, "datasets": list,
    "resources": dict, "threads": dict, "trained_by": dict, "left_out": dict, "error": dict,
    "convergence": dict, "warnings": list, "unseen": list, "decisions": list,
    "commission": list,
}  # fmt: skip


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
            check_regular(path)
            content = json.loads(path.read_text())
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (ValueError, OSError, RecursionError) as error:
            raise AsdError(f"{path}: damaged ({error}); remove the run's folder") from error
        if not isinstance(content, dict):
            raise AsdError(f"{path}: damaged (no JSON object); remove the run's folder")
        for name, kind in _KINDS.items():
            if not isinstance(content.get(name), kind | None):
                raise AsdError(f"{path}: damaged ({name}); remove the run's folder")
        return content

    def update(self, **values: Any) -> None:
        """Change entries of ``run.json``; the file is replaced whole or not at all.

        Raises:
            AsdError: it cannot be written, or is damaged.
        """
        text = json.dumps({**self.record(), **values}, indent=2, default=str) + "\n"
        write_text(self.path / "run.json", text)

    @contextmanager
    def lock(self, wait: bool = False) -> Iterator[None]:
        """Hold the folder: two processes never train the same run at once; or ``wait`` to do so.

        Raises:
            RunIsBusyError: another process holds it.
            AsdError: the folder cannot be made or locked.
        """
        from filelock import Timeout

        with ExitStack() as stack:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                stack.enter_context(locked(self.path / ".lock", "trains this very run", wait))
            except Timeout as error:
                record = self.record()
                who = f"pid {record.get('pid', 'unknown')} on {record.get('host', 'this machine')}"
                raise RunIsBusyError(
                    f"{self.path}: this very run is being trained by another process ({who}); "
                    "wait for it (if_running=wait) or change the seed"
                ) from error
            except (OSError, NotImplementedError) as error:
                raise AsdError(
                    f"{self.path}: cannot be locked: {getattr(error, 'strerror', error)}; set "
                    "paths.runs to a folder that can be written to, on a disk that has locks"
                ) from error
            yield

    def is_ours(self) -> bool:
        """Whether this process trains in it still: it may be removed or begun anew meanwhile."""
        return self.record().get("pid") == os.getpid()

    def check_ours(self) -> None:
        """Refuse to go on in a folder that is gone.

        Raises:
            AsdError: see ``is_ours``.
        """
        if not self.is_ours():
            raise AsdError(
                f"{self.path}: removed while it was trained; the same command begins anew"
            )

    def is_held(self, patient: bool = False) -> bool:
        """Whether a process trains this run; if patient, holds it longer than to look or sign."""
        from filelock import FileLock, Timeout

        path = self.path / ".lock"
        if not path.exists():
            return False
        try:
            with FileLock(path, timeout=_GLANCE if patient else 0):
                return False
        except Timeout:
            return True
        except (OSError, NotImplementedError):  # then nobody can train in it
            return False

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
    """The folder, among all in ``runs``, of the run with this identity, under whatever name.

    If there is none, a new one, whose name begins with ``name``.
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
