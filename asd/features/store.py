"""The feature store: features of a clip are computed once, and shared by all runs and processes.

A folder holds what one front end's settings gave, in parts: the clips of one release, machine and
split (``asd.features.part``). A part's name ends with a hash of its clips' contents.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asd.cores import cores
from asd.data.audio import Channel, Recording, resampled_length
from asd.data.manifest import Manifest, Part, parts_of
from asd.data.threads import in_threads
from asd.errors import AsdError
from asd.features.part import Features, part_file, whole_part, write_part, writing
from asd.files import write_text
from asd.frontends.frontend import FrontEnd
from asd.options import check_choice

FORMAT = 5


@dataclass(frozen=True)
class FeatureStore:
    """Features on disk under ``root``.

    Args:
        root: folder of the store.
        frontend: computes what is not there.
        dtype: ``float32`` or ``float16`` (docs/features.md says what it does to scores).
        channel: of files with several, as ``asd.data.audio.Recording.read`` takes it.
        shared: folder of files that processes of this machine map together; None: every process
            has its own copy in memory.
    """

    root: Path
    frontend: FrontEnd
    dtype: str
    channel: Channel
    shared: Path | None = None

    def __post_init__(self) -> None:
        check_choice("features.dtype", self.dtype, ("float32", "float16"))

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

    @property
    def folder(self) -> Path:
        """Where the features of this front end lie, named by it and a hash of ``settings``."""
        text = json.dumps(self.settings(), default=str)
        text = json.dumps(json.loads(text, parse_int=float), sort_keys=True)  # 0 and 0.0 are one
        key = hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
        return self.root / f"{self.frontend.name}-{key}"

    def file(self, clips: Manifest) -> Path:
        """Where the features of a part are or will be."""
        return part_file(self.folder, "-".join(clips.part()), clips.clips["hash"])

    def frames(self, clips: Manifest) -> np.ndarray:
        """[clips] frames that each has, int64; ``AsdError`` of a clip too short for one."""
        rate, n_frames = self.frontend.rate, self.frontend.n_frames
        lengths = zip(clips.clips["samples"], clips.clips["rate"], strict=True)
        frames = [n_frames(resampled_length(int(n), int(own), rate)) for n, own in lengths]
        return np.array(frames, dtype=np.int64)

    def build(self, *manifests: Manifest) -> None:
        """Compute what is missing of these clips, all in one go; damage shows when it is read.

        Raises:
            AsdError: a clip cannot be used, or the disk is full; parts done by then are kept.
        """
        parts = {self.file(part): part for manifest in manifests for part in parts_of(manifest)}
        if not all(file.exists() for file in parts):
            with writing(self.folder):
                self._build([part for file, part in parts.items() if not file.exists()])

    def _build(self, parts: list[Manifest]) -> None:
        """Compute these parts; the caller holds the lock."""
        clips = {part.part(): part for part in parts}

        def compute(clip: tuple[Path, str]) -> np.ndarray:
            recording = Recording.read(clip[0], self.channel)
            if recording.facts.hash != clip[1]:
                raise AsdError(
                    f"{clip[0]}: changed since the corpus was checked: start again (if that does "
                    "not help, remove the folder scan in paths.cache)"
                )
            return clip_features(self.frontend, recording, self.dtype)

        def keep(part: Part, arrays: list[np.ndarray]) -> None:
            write_text(self.folder / "settings.json", json.dumps(self.settings(), default=str))
            write_part(self.file(clips[part]), arrays)

        files = {name: part.files() for name, part in clips.items()}
        label = f"{self.frontend.name} features"
        in_threads(compute, files, cores(), label, keep)

    def load(self, manifest: Manifest) -> Features:
        """Features of all clips of a manifest; what is missing is computed.

        They are one array in this process's memory, writable; with ``shared``, one for all
        processes, copy on write. Refused is what ``build`` refuses, here and in ``part``.
        """
        self.build(manifest)
        parts = list(parts_of(manifest))
        if self.shared is None:
            with ThreadPoolExecutor(cores()) as pool:
                loaded = list(pool.map(self.part, parts))
            values = np.concatenate([np.asarray(features.values) for features in loaded])
            return Features(values, np.concatenate([features.frames for features in loaded]))
        file = part_file(self.shared, self.folder.name, manifest.clips["hash"])

        def write() -> None:
            write_part(file, [self.part(part).values for part in parts])

        return whole_part(file, self.frames(manifest), write)

    def part(self, clips: Manifest) -> Features:
        """Features of one part, memory-mapped (copy on write), the checksum compared."""
        file = self.file(clips)
        with suppress(OSError):  # it is not there, or may only be read
            os.utime(file)  # says when it was last used
        return whole_part(file, self.frames(clips), lambda: self._build([clips]))


def clip_features(frontend: FrontEnd, recording: Recording, dtype: str) -> np.ndarray:
    """Features [frames, bands] of one clip; ``AsdError`` of one too short, or not finite ones."""
    path, wave = recording.path, recording.signal(frontend.rate)
    try:
        expected = (frontend.n_frames(len(wave)), frontend.bands)
        values = frontend.features(wave)
    except AsdError as error:
        raise AsdError(f"{path}: {error}") from error
    if values.shape != expected:
        raise AsdError(
            f"{path}: {frontend.name} gave features of the shape {values.shape} where "
            f"{expected} was expected"
        )
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(values, dtype=dtype)
    if not np.isfinite(stored).all():
        raise AsdError(f"{path}: {frontend.name} features are not finite as {dtype}")
    return stored
