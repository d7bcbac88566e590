"""The feature store: features of a clip are computed once, and shared by all runs and processes.

    python -m asd.features build frontend=mel data=folder data.root=DIR release=full
    python -m asd.features list
    python -m asd.features prune KEY

A folder holds what one front end's settings gave, in parts: the clips of one release, machine and
split (``asd.features.part``). A part's name ends with a hash of its clips' contents.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asd.cores import cores
from asd.data.audio import Channel, check_channel
from asd.data.manifest import Manifest
from asd.errors import AsdError
from asd.features.build import Computing, build_parts, frames_of
from asd.features.joined import joined
from asd.features.part import DamagedPartError, PartFiles, StoredPart, content_key
from asd.frontends.frontend import FrontEnd

log = logging.getLogger(__name__)

FORMAT = 2
DTYPES = ("float32", "float16")
SETTINGS = "settings.json"


@dataclass(frozen=True)
class Features:
    """Features of a manifest's clips, in its order.

    ``values`` [frames, bands], clips one after another; ``frames`` [clips] how many each has.
    """

    values: np.ndarray
    frames: np.ndarray


@dataclass(frozen=True)
class FeatureStore:
    """Features on disk under ``root``.

    Args:
        root: folder of the store.
        frontend: computes what is not there.
        dtype: ``float32`` or ``float16`` (docs/features.md says what it does to scores).
        channel: which channel of a file with several, as ``asd.data.audio.read_clip`` takes it.
        workers: threads; None: all cores.
        shared: folder of files that processes of this machine map together; None: every process
            has its own copy in memory.
    """

    root: Path
    frontend: FrontEnd
    dtype: str = "float32"
    channel: Channel = None
    workers: int | None = None
    shared: Path | None = None

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise AsdError(f"features.dtype={self.dtype}: must be one of {', '.join(DTYPES)}")
        whole = isinstance(self.workers, int) and not isinstance(self.workers, bool)
        if self.workers is not None and not (whole and self.workers >= 1):
            raise AsdError(
                f"features.workers={self.workers}: must be a whole number from 1, or null"
            )
        check_channel(self.channel)

    def settings(self) -> dict[str, Any]:
        """All that determines a clip's features but the clip."""
        return {
            "format": FORMAT,
            "name": self.frontend.name,
            "class": type(self.frontend).__qualname__,
            "version": self.frontend.version,
            "dtype": self.dtype,
            "channel": self.channel,
            "frontend": dataclasses.asdict(self.frontend),  # type: ignore[call-overload]
        }

    def frontend_key(self) -> str:
        """Name and hash of ``settings``: the name of the folder."""
        # 0 and 0.0 are one setting.
        text = json.dumps(_numbers_alike(self.settings()), sort_keys=True, default=str)
        return f"{self.frontend.name}-{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}"

    @property
    def folder(self) -> Path:
        """Where the features of this front end lie."""
        return self.root / self.frontend_key()

    def build(self, *manifests: Manifest) -> None:
        """Compute what is missing of these clips, all in one go.

        Only one process computes at a time; others wait, and find it done.

        Raises:
            AsdError: a clip cannot be used, or the disk is full; what is done by then is kept.
        """
        parts = [part for manifest in manifests for part in parts_of(manifest)]
        if any(self._open(part, quiet=True) is None for part in parts):
            with self._lock():
                self._compute([part for part in parts if self._open(part) is None])

    def load(self, manifest: Manifest) -> Features:
        """Features of all clips of a manifest; what is missing is computed.

        There is one copy of them, into which the files are read; every clip's checksum is compared.
        It is in this process's memory and writable; with ``shared``, one copy for all processes.

        Raises:
            AsdError: a clip cannot be used, or the disk is full.
        """
        self.build(manifest)
        frames = np.array(frames_of(self.frontend, manifest), dtype=np.int64)
        if self.shared is None:
            return Features(self._read(manifest, frames), frames)
        key = f"{self.frontend_key()}-{content_key(manifest.clips['hash'])}"
        try:
            return Features(joined(self.shared, key, lambda: self._read(manifest, frames)), frames)
        except OSError as error:
            raise _not_writable(self.shared, error) from error

    def _read(self, manifest: Manifest, frames: np.ndarray) -> np.ndarray:
        values = np.empty((int(frames.sum()), self.frontend.bands), self.dtype)
        begin = 0
        with self._pool() as pool:
            for part in parts_of(manifest):
                end = begin + sum(frames_of(self.frontend, part))
                self._checked(part, pool, values[begin:end])
                begin = end
        return values

    def part(self, clips: Manifest) -> Features:
        """Features of one part, memory-mapped (copy on write), every checksum compared.

        Raises:
            AsdError: a clip cannot be used, or the disk is full.
        """
        self.build(clips)
        with self._pool() as pool:
            found = self._checked(clips, pool)
        return Features(found.values, np.array(found.record.frames, dtype=np.int64))

    def _open(self, clips: Manifest, quiet: bool = False) -> StoredPart | None:
        """The part if its files fit together and these clips; damage is said."""
        files = self._files(clips)
        try:
            found = StoredPart.open(files)
            if found is not None:
                shape = (sum(found.record.frames), self.frontend.bands)
                fits = found.record.frames == frames_of(self.frontend, clips)
                if not fits or found.values.shape != shape or found.values.dtype != self.dtype:
                    raise DamagedPartError("has not these clips' frames")
        except DamagedPartError as error:
            if not quiet:
                log.warning("%s: damaged (%s); computed again", files.data, error)
            return None
        return found

    def _checked(
        self, clips: Manifest, pool: Executor, out: np.ndarray | None = None
    ) -> StoredPart:
        """The part with all checksums right; damaged clips are computed again."""
        files = self._files(clips)
        found = self._open(clips)
        if found is None or found.check(pool, out):
            with self._lock():
                found = self._open(clips)
                bad = list(range(len(clips))) if found is None else found.check(pool)
                if found is not None and bad:
                    log.warning(
                        "%s: %d of %d clips are damaged, the first %s; computed again",
                        files.data, len(bad), len(clips), clips.clips["path"].iloc[bad[0]],
                    )  # fmt: skip
                if bad:
                    self._compute([clips])
            found = self._open(clips)
            if found is None or found.check(pool, out):
                raise AsdError(
                    f"{files.data}: cannot be read back as written; is the disk failing?"
                )
        with suppress(OSError):  # a store that may only be read
            os.utime(files.record)  # for prune --older-than
        return found

    def _compute(self, parts: list[Manifest]) -> None:
        if parts:
            self._write_settings()
            how = Computing(self.frontend, self.dtype, self.channel, self.workers or cores())
            build_parts([(self._files(part), part) for part in parts], how)

    def _files(self, clips: Manifest) -> PartFiles:
        first = clips.clips.iloc[0]
        key = content_key(clips.clips["hash"])
        return PartFiles(
            self.folder, f"{first['release']}-{first['machine']}-{first['split']}-{key}"
        )

    def _write_settings(self) -> None:
        path = self.folder / SETTINGS
        text = json.dumps(self.settings(), indent=2, default=str) + "\n"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_text(encoding="utf-8", errors="replace") != text:
                temporary = path.with_name(SETTINGS + ".partial")
                temporary.write_text(text, encoding="utf-8")
                temporary.replace(path)
        except OSError as error:
            raise _not_writable(path, error) from error

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Be the one process that computes features of this front end."""
        from filelock import Timeout

        lock = lock_of(self.folder)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                log.info(
                    "another process computes these features (%s); waiting for it", self.folder
                )
                lock.acquire()
        except (OSError, NotImplementedError) as error:
            raise _not_writable(Path(lock.lock_file), error) from error
        try:
            yield
        finally:
            lock.release()

    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.workers or cores())


def lock_of(folder: Path) -> Any:
    """The lock that is held while something in a front end's folder is written or removed.

    Its file lies beside the folder and stays: removing it while another process waits for it would
    let two in.
    """
    from filelock import FileLock

    return FileLock(str(folder) + ".lock")


def parts_of(manifest: Manifest) -> Iterator[Manifest]:
    """The manifest's clips by release, machine and split, in the manifest's order.

    Raises:
        ValueError: clips of one part do not stand together, so that parts in order would not be
            the manifest in order.
    """
    by = ["release", "machine", "split"]
    groups = [rows for _, rows in manifest.clips.groupby(by, sort=False)]
    if [i for rows in groups for i in rows.index] != list(manifest.clips.index):
        raise ValueError("a manifest must be sorted by release, machine and split")
    for rows in groups:
        yield Manifest(manifest.root, rows.reset_index(drop=True))


def _numbers_alike(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _numbers_alike(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_numbers_alike(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _not_writable(path: Path, error: Exception) -> AsdError:
    reason = getattr(error, "strerror", None) or error
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = "free some space or set paths.cache to a folder with more"
    else:
        advice = "set paths.cache to a folder that can be written to"
    return AsdError(f"{path}: {reason}; {advice}")
