"""The feature store: features of a clip are computed once, and shared by all runs and processes.

A folder holds what one front end's settings gave, in parts: the clips of one release, machine and
split (``asd.features.part``). A part's name ends with a hash of its clips' contents.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asd.cores import cores
from asd.data.audio import Channel, check_channel
from asd.data.manifest import Manifest
from asd.data.part_reader import Part
from asd.features.build import PartBuilder, frames_of, part_name
from asd.features.lock import locked, saying
from asd.features.part import (
    DamagedPartError,
    PartWriter,
    StoredPart,
    is_there,
    part_file,
    whole_part,
)
from asd.frontends.frontend import FrontEnd
from asd.options import check_choice, check_whole

FORMAT = 3


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
    dtype: str
    channel: Channel
    workers: int | None
    shared: Path | None = None

    def __post_init__(self) -> None:
        check_choice("features.dtype", self.dtype, ("float32", "float16"))
        if self.workers is not None:
            check_whole("features.workers", self.workers, 1)
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
        text = json.dumps(self.settings(), default=str)
        text = json.dumps(json.loads(text, parse_int=float), sort_keys=True)  # 0 and 0.0 are one
        return f"{self.frontend.name}-{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}"

    @property
    def folder(self) -> Path:
        """Where the features of this front end lie."""
        return self.root / self.frontend_key()

    def file(self, clips: Manifest) -> Path:
        """Where the features of a part are or will be."""
        return part_file(self.folder, "-".join(part_name(clips)), clips.clips["hash"])

    def reader(self, splits: Collection[tuple[str, str]]) -> PartBuilder:
        """What takes the clips of these (release, split) from a corpus's scan as they are read."""
        return PartBuilder(self, splits)

    def build(self, *manifests: Manifest) -> None:
        """Compute what is missing of these clips, all in one go.

        Only one process computes at a time; others wait, and find it done. Damage that shows only
        when all is read is mended by ``load`` and ``part``.

        Raises:
            AsdError: a clip cannot be used, or the disk is full; parts done by then are kept.
        """
        parts = {self.file(part): part for manifest in manifests for part in parts_of(manifest)}
        if not all(is_there(file) for file in parts):
            with PartBuilder(self).begin() as builder:
                lacking = [part for file, part in parts.items() if not is_there(file, say=True)]
                builder.build(lacking)

    def load(self, manifest: Manifest) -> Features:
        """Features of all clips of a manifest; what is missing is computed.

        There is one copy of them, into which the files are read and their checksums compared. It is
        in this process's memory and writable; with ``shared``, one copy for all processes.

        Raises:
            AsdError: a clip cannot be used, or the disk is full.
        """
        self.build(manifest)
        frames = np.array(frames_of(self.frontend, manifest), dtype=np.int64)
        if self.shared is not None:
            return Features(self._mapped(self.shared, manifest), frames)
        values = np.empty((int(frames.sum()), self.frontend.bands), self.dtype)
        parts = list(parts_of(manifest))
        ends = np.cumsum(frames)[np.cumsum([len(part) for part in parts]) - 1]
        with ThreadPoolExecutor(self.workers or cores()) as pool:
            list(pool.map(self._read, parts, np.split(values, ends[:-1])))
        return Features(values, frames)

    def part(self, clips: Manifest) -> Features:
        """Features of one part, memory-mapped (copy on write), the checksum compared.

        Raises:
            AsdError: a clip cannot be used, or the disk is full.
        """
        stored = self._read(clips)
        return Features(stored.values, np.array(stored.record.frames, dtype=np.int64))

    def _read(self, clips: Manifest, out: np.ndarray | None = None) -> StoredPart:
        """The part with its checksum right; a damaged one is computed again."""
        file = self.file(clips)
        with suppress(OSError):  # it is not there, or may only be read
            os.utime(file.with_suffix(".json"))  # for prune --older-than
        with suppress(DamagedPartError):
            return StoredPart.open(file).read(out)
        with PartBuilder(self).begin() as builder:
            return whole_part(file, lambda: builder.build([clips]), out)

    def _mapped(self, folder: Path, manifest: Manifest) -> np.ndarray:
        """All features in one file of the same kind, which the first process that asks writes."""
        label = self.frontend_key()

        def write() -> None:
            with closing(PartWriter(folder, label, self.frontend.bands, self.dtype)) as writer:
                for part in map(self._read, parts_of(manifest)):
                    writer.append(part.record.frames, part.record.hashes, part.values)
                writer.finish()

        with locked(folder / label), saying(folder):
            return whole_part(part_file(folder, label, manifest.clips["hash"]), write).values


def parts_of(manifest: Manifest) -> Iterator[Manifest]:
    """The manifest's clips by release, machine and split, in the manifest's order.

    Raises:
        ValueError: clips of one part do not stand together, so that parts in order would not be
            the manifest in order.
    """
    groups = [rows for _, rows in manifest.clips.groupby(list(Part._fields), sort=False)]
    if [i for rows in groups for i in rows.index] != list(manifest.clips.index):
        raise ValueError("a manifest must be sorted by release, machine and split")
    for rows in groups:
        yield Manifest(manifest.root, rows.reset_index(drop=True))
