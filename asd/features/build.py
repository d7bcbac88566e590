"""Computing parts of the feature store: in parallel, and from where a killed build stopped."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np

from asd.cores import one_torch_thread
from asd.data.audio import Channel, ClipError, os_reason, read_clip
from asd.data.manifest import Manifest, content_hash
from asd.errors import AsdError
from asd.features.part import DamagedPartError, PartFiles, Record, StoredPart, npy_header
from asd.frontends.frontend import FrontEnd
from asd.progress import progress_bar

log = logging.getLogger(__name__)

_ENTRY = struct.Struct("<II")  # of the journal: number of a clip, CRC-32 of its features


@dataclass(frozen=True)
class Computing:
    """How a clip becomes what is stored."""

    frontend: FrontEnd
    dtype: str
    channel: Channel
    workers: int

    def compute(self, path: Path, digest: str, frames: int) -> np.ndarray:
        """Features [frames, bands] of one clip, as they are stored.

        Raises:
            AsdError: the file cannot be read, or is not the one that the manifest means.
        """
        try:
            content = content_hash(path.read_bytes())
        except OSError as error:
            raise ClipError(path, os_reason(error)) from error
        if content != digest:
            reason = "changed since the corpus was checked: start again"
            raise ClipError(
                path, f"{reason} (if that does not help, remove the folder scan in paths.cache)"
            )
        wave = read_clip(path, self.frontend.rate, self.channel)
        try:
            values = self.frontend.features(wave)
        except AsdError as error:
            raise AsdError(f"{path}: {error}") from error
        except Exception as error:
            error.add_note(f"while the features of {path} were computed")
            raise
        if values.shape != (frames, self.frontend.bands):
            raise AsdError(
                f"{path}: {self.frontend.name} gave features of the shape {values.shape} where "
                f"{(frames, self.frontend.bands)} was expected"
            )
        with np.errstate(over="ignore"):
            stored = np.ascontiguousarray(values, dtype=self.dtype)
        if not np.isfinite(stored).all():
            kind = f" as {self.dtype}" if np.isfinite(values).all() else ""
            raise AsdError(f"{path}: {self.frontend.name} features are not finite numbers{kind}")
        return stored


def frames_of(frontend: FrontEnd, clips: Manifest) -> list[int]:
    """Frames that each clip's features have.

    Raises:
        AsdError: a clip is too short; names it.
    """
    table, known = clips.clips, {}
    for path, samples, rate in zip(table["path"], table["samples"], table["rate"], strict=True):
        if (samples, rate) not in known:
            try:
                # As many samples as asd.data.audio.resample gives.
                count = frontend.n_frames(-(-int(samples) * frontend.rate // int(rate)))
            except AsdError as error:
                raise AsdError(f"{clips.root / path}: {error}") from error
            known[samples, rate] = count
    return [known[pair] for pair in zip(table["samples"], table["rate"], strict=True)]


def build_parts(parts: list[tuple[PartFiles, Manifest]], computing: Computing) -> None:
    """Compute these parts; the caller holds the lock of their folder.

    Raises:
        AsdError: a clip cannot be used, or the disk is full; what is done by then is kept.
    """
    writers = [_PartWriter(files, clips, computing) for files, clips in parts]
    _check_space(writers)
    try:
        for writer in writers:
            writer.open()
        _compute(writers, computing)
    finally:
        for writer in writers:
            writer.close()


def _compute(writers: list[_PartWriter], computing: Computing) -> None:
    jobs = [(writer, row) for writer in writers for row in writer.todo]
    done = sum(len(writer.clips) for writer in writers) - len(jobs)
    name = computing.frontend.name
    again = f"; {done:,} are done already" if done else ""
    log.info("computing %s features of %s clips%s", name, f"{len(jobs):,}", again)
    known = _known_clips(writers)

    def one(job: tuple[_PartWriter, int]) -> _PartWriter:
        writer, row = job
        values = writer.copy(row, known)
        if values is None:
            path, digest = writer.clips.root / writer.names[row], writer.hashes[row]
            values = computing.compute(path, digest, writer.frames[row])
        writer.write(row, values)
        return writer

    for writer in writers:
        if not writer.todo:
            writer.finish()
    if not jobs:
        return
    left = {id(writer): len(writer.todo) for writer in writers}

    def count(writer: _PartWriter) -> None:
        left[id(writer)] -= 1
        if not left[id(writer)]:
            writer.finish()

    with progress_bar(f"{name} features", len(jobs)) as advance:
        # The first clip here: it imports and compiles what the threads then share.
        count(one(jobs[0]))
        advance(1)
        with one_torch_thread():
            pool = ThreadPoolExecutor(computing.workers)
            try:
                for writer in pool.map(one, jobs[1:]):
                    count(writer)
                    advance(1)
            finally:
                pool.shutdown(cancel_futures=True)


class _PartWriter:
    """A part that is being computed.

    Clips are written in any order and from several threads. The journal gets a clip's number and
    checksum after its bytes, so that after a kill at any moment the clips that it names and whose
    bytes agree are done.
    """

    def __init__(self, files: PartFiles, clips: Manifest, computing: Computing) -> None:
        self.files = files
        self.clips = clips
        self.names = [str(path) for path in clips.clips["path"]]
        self.hashes = [str(digest) for digest in clips.clips["hash"]]
        self.frames = frames_of(computing.frontend, clips)
        self.row_bytes = computing.frontend.bands * np.dtype(computing.dtype).itemsize
        self.starts = np.concatenate([[0], np.cumsum(self.frames)])
        self.header = npy_header(int(self.starts[-1]), computing.frontend.bands, computing.dtype)
        self.size = len(self.header) + int(self.starts[-1]) * self.row_bytes
        self.done: dict[int, int] = {}
        self.todo: list[int] = []
        self._data = self._journal = -1
        self._opening = Lock()

    def open(self) -> None:
        """Begin, or go on where an earlier build stopped; sets ``todo``.

        Raises:
            AsdError: the files cannot be made.
        """
        files = self.files
        with self._saying_where(files.partial):
            files.folder.mkdir(parents=True, exist_ok=True)
            if files.journal.exists() and files.data.exists() and not files.partial.exists():
                files.data.replace(files.partial)  # killed between the last two steps
            if not (files.journal.exists() and files.partial.exists()):
                files.journal.unlink(missing_ok=True)
                files.partial.unlink(missing_ok=True)
            self._open_files()
            if os.pread(self._data, len(self.header), 0) != self.header:
                os.ftruncate(self._journal, 0)
                os.ftruncate(self._data, 0)
                _write_all(self._data, self.header, 0)
            os.ftruncate(self._data, self.size)
            self._resume()
        self.todo = [row for row in range(len(self.names)) if row not in self.done]
        self.close()  # a corpus may have more parts than a process may have files

    def _open_files(self) -> None:
        with self._opening:
            if self._data < 0:
                flags = os.O_RDWR | os.O_CREAT
                self._journal = os.open(self.files.journal, flags | os.O_APPEND, 0o666)
                self._data = os.open(self.files.partial, flags, 0o666)

    def _resume(self) -> None:
        length = os.fstat(self._journal).st_size // _ENTRY.size * _ENTRY.size
        os.ftruncate(self._journal, length)
        for row, crc in _ENTRY.iter_unpack(os.pread(self._journal, length, 0)):
            if row < len(self.names):
                self.done[row] = crc
        for row, crc in list(self.done.items()):
            size = self.frames[row] * self.row_bytes
            if zlib.crc32(os.pread(self._data, size, self._offset(row))) != crc:
                del self.done[row]

    def _offset(self, row: int) -> int:
        return len(self.header) + int(self.starts[row]) * self.row_bytes

    def copy(self, row: int, known: dict[str, tuple[StoredPart, int]]) -> np.ndarray | None:
        """The clip's features from another part, where one has them whole."""
        if self.hashes[row] not in known:
            return None
        part, number = known[self.hashes[row]]
        values = part.clip(number)
        whole = values is not None and values.nbytes == self.frames[row] * self.row_bytes
        return values if whole else None

    def write(self, row: int, values: np.ndarray) -> None:
        """Keep a clip's features.

        Raises:
            AsdError: they cannot be written.
        """
        data = values.tobytes()
        crc = zlib.crc32(data)
        with self._saying_where(self.files.partial):
            self._open_files()
            _write_all(self._data, data, self._offset(row))
            entry = _ENTRY.pack(row, crc)
            if os.write(self._journal, entry) < len(entry):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.done[row] = crc

    def finish(self) -> None:
        """Make the part whole.

        Raises:
            AsdError: it cannot be written.
        """
        crcs = [self.done[row] for row in range(len(self.names))]
        self.close()
        files = self.files
        with self._saying_where(files.record):
            files.record.unlink(missing_ok=True)
            files.partial.replace(files.data)
            Record(self.frames, self.hashes, crcs, self.names).write(files)
            files.journal.unlink()

    def close(self) -> None:
        """Close the files; what is done is kept."""
        for descriptor in (self._data, self._journal):
            if descriptor >= 0:
                os.close(descriptor)
        self._data = self._journal = -1

    @contextmanager
    def _saying_where(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise AsdError(
                f"{path}: {error.strerror}; what is computed is kept. Free some space or set "
                "paths.cache to a folder with more, then start again"
            ) from error


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _check_space(writers: list[_PartWriter]) -> None:
    """Refuse what cannot fit, before hours are spent.

    Raises:
        AsdError: says what is needed and what is free.
    """
    folder = writers[0].files.folder
    there = folder
    while not there.exists():
        there = there.parent
    taken = sum(w.files.partial.stat().st_blocks * 512 for w in writers if w.files.partial.exists())
    needed, free = sum(w.size for w in writers) - taken, shutil.disk_usage(there).free
    if needed > free:
        raise AsdError(
            f"{folder}: the features need {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free; "
            "free some space, set paths.cache to a larger disk, or use features.dtype=float16"
        )


def _known_clips(writers: list[_PartWriter]) -> dict[str, tuple[StoredPart, int]]:
    """By content: clips that other parts of the same front end hold already."""
    wanted = {writer.hashes[row] for writer in writers for row in writer.todo}
    known: dict[str, tuple[StoredPart, int]] = {}
    for path in sorted(writers[0].files.folder.glob("*-*-*.json")):
        try:
            part = StoredPart.open(PartFiles(path.parent, path.name.removesuffix(".json")))
        except DamagedPartError:
            continue  # said when the part itself is asked for
        if part is not None:
            for row, digest in enumerate(part.record.hashes):
                if digest in wanted:
                    known[digest] = (part, row)
    return known
