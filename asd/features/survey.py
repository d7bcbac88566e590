"""What lies in a feature store: to show it, and to remove some of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asd.errors import AsdError
from asd.features.part import DamagedPartError, PartFiles, StoredPart
from asd.features.store import SETTINGS, lock_of

WHOLE, DAMAGED, UNFINISHED = "whole", "damaged", "unfinished"
_FOLDER = re.compile(r".+-[0-9a-f]{12}")
_ENDINGS = (".json.partial", ".npy.partial", ".json", ".npy", ".journal")


@dataclass(frozen=True)
class FoundPart:
    """A part as it was found: its ``clips``, ``bytes`` on disk, ``state``, and why it is that.

    ``used`` is when it was last used, in seconds since 1970.
    """

    files: PartFiles
    clips: int
    bytes: int
    used: float
    state: str
    reason: str


@dataclass(frozen=True)
class FoundFrontEnd:
    """A folder of the store; ``settings`` None if their file cannot be read."""

    folder: Path
    settings: dict[str, Any] | None
    parts: list[FoundPart]

    @property
    def key(self) -> str:
        """The folder's name, by which ``prune`` knows it."""
        return self.folder.name


def survey(root: Path, pool: Executor | None) -> list[FoundFrontEnd]:
    """All that lies in a store.

    Args:
        root: the store's folder.
        pool: threads that compare every clip with its checksum; None: only sizes are looked at.
    """
    if not root.is_dir():
        return []
    folders = sorted(p for p in root.iterdir() if p.is_dir() and _FOLDER.fullmatch(p.name))
    found = []
    for folder in folders:
        try:
            settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            settings = None
        stems = {stem for path in folder.iterdir() if (stem := _stem(path.name)) is not None}
        parts = [_look(PartFiles(folder, stem), pool) for stem in sorted(stems)]
        settings = settings if isinstance(settings, dict) else None
        found.append(FoundFrontEnd(folder, settings, [p for p in parts if p is not None]))
    return found


def _stem(name: str) -> str | None:
    if name.startswith(SETTINGS):
        return None
    return next((name.removesuffix(e) for e in _ENDINGS if name.endswith(e)), None)


def _look(files: PartFiles, pool: Executor | None) -> FoundPart | None:
    size, used = 0, 0.0
    for path in _paths(files):
        with suppress(FileNotFoundError):
            stat = path.stat()
            size, used = size + stat.st_blocks * 512, max(used, stat.st_mtime)
    clips, state, reason = 0, WHOLE, ""
    try:
        part = StoredPart.open(files)
        if part is not None:
            clips = len(part.record.frames)
            bad = part.check(pool) if pool else []
            if bad:
                state, reason = DAMAGED, f"{len(bad)} of {clips} clips have another checksum"
        elif files.partial.exists() or files.journal.exists():
            state = UNFINISHED
        elif size:
            state, reason = DAMAGED, "one of its two files is missing"
        else:
            return None  # removed while we looked
    except DamagedPartError as error:
        state, reason = DAMAGED, str(error)
    return FoundPart(files, clips, size, used, state, reason)


def _paths(files: PartFiles) -> list[Path]:
    # The record first: without it nothing passes for whole.
    return [files.folder / (files.stem + ending) for ending in (".json", *_ENDINGS)]


def prune(
    found: list[FoundFrontEnd], chosen: Callable[[FoundFrontEnd, FoundPart], bool], dry_run: bool
) -> tuple[list[FoundPart], list[str]]:
    """Remove parts; a folder with none left goes too.

    Args:
        found: what there is.
        chosen: which parts to remove.
        dry_run: only say what would be removed.

    Returns:
        The parts removed, and the keys of folders that were left alone since a build is at work
        there.

    Raises:
        AsdError: a file cannot be removed.
    """
    from filelock import Timeout

    removed, busy = [], []
    for frontend in found:
        parts = [part for part in frontend.parts if chosen(frontend, part)]
        if not parts and frontend.parts:
            continue
        lock = lock_of(frontend.folder)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            busy.append(frontend.key)
            continue
        except OSError as error:
            raise AsdError(f"{lock.lock_file}: {error.strerror}") from error
        try:
            if not dry_run:
                _remove(frontend.folder, parts, everything=len(parts) == len(frontend.parts))
        except OSError as error:
            raise AsdError(f"{error.filename}: cannot be removed: {error.strerror}") from error
        finally:
            lock.release()
        removed += parts
    return removed, busy


def _remove(folder: Path, parts: list[FoundPart], everything: bool) -> None:
    for part in parts:
        for path in _paths(part.files):
            path.unlink(missing_ok=True)
    if everything and all(path.name.startswith(SETTINGS) for path in folder.iterdir()):
        for path in list(folder.iterdir()):
            path.unlink()
        folder.rmdir()
