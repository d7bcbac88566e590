"""The feature store: features of a clip are computed once, and shared by all runs and processes.

A part holds the clips of one release, machine and split: a ``.npy`` of [frames, bands], clips one
after another, and a ``.json`` that is written last and says that the part is whole. Its name is the
hash of the front end's settings and of the clips' contents.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asd.data.audio import Channel, read_clip
from asd.data.manifest import Manifest
from asd.errors import AsdError
from asd.frontends.frontend import FrontEnd
from asd.progress import progress_bar

log = logging.getLogger(__name__)

FORMAT = 1
# Of the checksum: how much is read at a time.
_CHUNK = 1 << 24


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
        dtype: ``float32`` or ``float16`` (dB values err by at most 0.03 dB).
        channel: which channel of a file with several, as ``asd.data.audio.read_clip`` takes it.
        workers: threads; None: all cores.
    """

    root: Path
    frontend: FrontEnd
    dtype: str = "float32"
    channel: Channel = None
    workers: int | None = None

    def frontend_key(self) -> str:
        """Name and hash of all that determines a clip's features but the clip."""
        settings = {
            "format": FORMAT,
            "class": type(self.frontend).__qualname__,
            "version": self.frontend.version,
            "dtype": self.dtype,
            "channel": self.channel,
            **dataclasses.asdict(self.frontend),  # type: ignore[call-overload]
        }
        text = json.dumps(settings, sort_keys=True, default=str)
        return f"{self.frontend.name}-{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}"

    def load(self, manifest: Manifest) -> Features:
        """Features of all clips of a manifest, read into memory; what is missing is computed.

        Raises:
            AsdError: a clip cannot be read, or the disk is full.
        """
        parts = [self.part(part) for part in parts_of(manifest)]
        if len(parts) == 1:
            return parts[0]
        return Features(
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.frames for part in parts]),
        )

    def part(self, clips: Manifest) -> Features:
        """Features of one part, memory-mapped.

        Raises:
            AsdError: a clip cannot be read, or the disk is full.
        """
        from filelock import FileLock, Timeout

        data, meta = self._paths(clips)
        found = _open_part(data, meta)
        if found is not None:
            return found
        data.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(str(data) + ".lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            log.info("another process computes %s; waiting for it", data.stem)
            lock.acquire()
        try:
            found = _open_part(data, meta)
            if found is None:
                self._build(clips, data, meta)
                found = _open_part(data, meta)
        finally:
            lock.release()
        if found is None:
            raise AsdError(f"{data}: cannot be read back after writing; is the disk failing?")
        return found

    def _paths(self, clips: Manifest) -> tuple[Path, Path]:
        first = clips.clips.iloc[0]
        contents = "\n".join(clips.clips["path"] + ":" + clips.clips["hash"])
        key = hashlib.blake2b(contents.encode(), digest_size=6).hexdigest()
        folder = self.root / self.frontend_key()
        stem = f"{first['release']}-{first['machine']}-{first['split']}-{key}"
        return folder / f"{stem}.npy", folder / f"{stem}.json"

    def _build(self, clips: Manifest, data: Path, meta: Path) -> None:
        table = clips.clips
        samples = table["samples"].to_numpy()
        rates = table["rate"].to_numpy()
        at_rate = np.ceil(samples * (self.frontend.rate / rates)).astype(int)
        try:
            frames = np.array([self.frontend.n_frames(int(n)) for n in at_rate], dtype=np.int64)
            ends = np.cumsum(frames)
            partial = data.with_name(data.name + ".partial")
            values = np.lib.format.open_memmap(
                partial, "w+", dtype=self.dtype, shape=(int(ends[-1]), self.frontend.bands)
            )
            # Room is taken now: a full disk then says so here rather than kills the process later.
            with partial.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, partial.stat().st_size)
        except OSError as error:
            raise AsdError(
                f"{data}: {error.strerror}; free some space or set paths.cache"
            ) from error

        def one(row: int) -> None:
            path = clips.root / table["path"].iloc[row]
            wave = read_clip(path, self.frontend.rate, self.channel)
            try:
                got = self.frontend.features(wave)
            except AsdError as error:
                raise AsdError(f"{path}: {error}") from error
            if len(got) != frames[row]:
                raise AsdError(f"{path}: changed while it was read; start again")
            values[ends[row] - frames[row] : ends[row]] = got

        label = data.stem.rsplit("-", 1)[0]
        # One torch thread a worker: the pool is what runs in parallel.
        with progress_bar(f"features {label}", len(table)) as advance, _pool(self.workers) as pool:
            for _ in pool.map(one, range(len(table))):
                advance(1)
        values.flush()
        partial.replace(data)
        record = {
            "frames": frames.tolist(),
            "crc32": _checksum(data),
            "bytes": data.stat().st_size,
            "clips": table["path"].tolist(),
        }
        temporary = meta.with_name(meta.name + ".partial")
        temporary.write_text(json.dumps(record))
        temporary.replace(meta)


def parts_of(manifest: Manifest) -> Iterator[Manifest]:
    """The manifest's clips by release, machine and split, in the manifest's order."""
    by = ["release", "machine", "split"]
    for _, rows in manifest.clips.groupby(by, sort=False):
        yield Manifest(manifest.root, rows.reset_index(drop=True))


def _pool(workers: int | None) -> Any:
    return ThreadPoolExecutor(workers or len(os.sched_getaffinity(0)))


def _open_part(data: Path, meta: Path) -> Features | None:
    """The part if it is whole; a damaged one is said and computed again."""
    if not (data.is_file() and meta.is_file()):
        return None
    try:
        record = json.loads(meta.read_text())
        whole = data.stat().st_size == record["bytes"] and _checksum(data) == record["crc32"]
        values = np.load(data, mmap_mode="r") if whole else None
    except (ValueError, KeyError, OSError) as error:
        log.warning("%s: damaged (%s); computed again", meta, error)
        return None
    if values is None:
        log.warning("%s: damaged (checksum differs); computed again", data)
        return None
    return Features(values, np.array(record["frames"], dtype=np.int64))


def _checksum(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            crc = zlib.crc32(chunk, crc)
    return crc
