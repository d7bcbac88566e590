"""Computing parts of the feature store, from a scan's clips as it reads them, or from the files."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from rich.filesize import decimal

from asd.cores import cores
from asd.data.audio import Recording
from asd.data.manifest import Manifest
from asd.data.part_reader import Part
from asd.data.threads import in_threads
from asd.errors import AsdError
from asd.features.lock import locked, saying
from asd.features.part import PARTIAL, PartWriter
from asd.files import write_text
from asd.frontends.frontend import FrontEnd

if TYPE_CHECKING:
    from asd.features.store import FeatureStore

log = logging.getLogger(__name__)

SETTINGS = "settings.json"  # in a folder of the store, for people and for ``list``


class PartBuilder:
    """Computes and writes parts, one after another (an ``asd.data.part_reader.PartReader``).

    Args:
        store: where they go.
        splits: (release, split) of what is taken from a scan.
    """

    def __init__(self, store: FeatureStore, splits: Collection[tuple[str, str]] = ()) -> None:
        self.store = store
        self.splits = splits
        self.workers = store.workers or cores()
        self._to_come = 0
        self._started = False
        self._writer: PartWriter | None = None

    @contextmanager
    def begin(self) -> Iterator[Self]:
        """Be the one process that computes; a part that is not done at the end is left out.

        Raises:
            AsdError: the store's folder cannot be written to.
        """
        with locked(self.store.folder):
            try:
                with saying(self.store.folder):
                    for partial in self.store.folder.glob(f"*{PARTIAL}"):
                        partial.unlink()  # of a process that was killed
                yield self
                self.finish()
            finally:
                if self._writer is not None:
                    self._writer.close()
                self._writer = None

    def choose(self, parts: Mapping[Part, int]) -> list[Part]:
        """Those of the splits wanted that the store has nothing of.

        What it has by this name may be these clips: that is known when their contents are, and
        ``FeatureStore.build`` computes what turns out to be lacking.
        """
        names = [file.stem.rsplit("-", 1)[0] for file in self.store.folder.glob("*-*.json")]
        chosen = [p for p in parts if (p.release, p.split) in self.splits]
        chosen = [part for part in chosen if "-".join(part) not in names]
        self._to_come = sum(parts[part] for part in chosen)
        return chosen

    def compute(self, recording: Recording) -> np.ndarray:
        """Features [frames, bands] of one clip, as they are stored.

        Raises:
            AsdError: the clip is too short, or its features are not finite; names it.
        """
        path, frontend, dtype = recording.path, self.store.frontend, self.store.dtype
        wave = recording.signal(frontend.rate, self.store.channel)
        try:
            expected = (frontend.n_frames(len(wave)), frontend.bands)
            values = frontend.features(wave)
        except AsdError as error:
            raise AsdError(f"{path}: {error}") from error
        except Exception as error:
            error.add_note(f"while the features of {path} were computed")
            raise
        if values.shape != expected:
            raise AsdError(
                f"{path}: {frontend.name} gave features of the shape {values.shape} where "
                f"{expected} was expected"
            )
        with np.errstate(over="ignore"):
            stored = np.ascontiguousarray(values, dtype=dtype)
        if not np.isfinite(stored).all():
            kind = f" as {dtype}" if np.isfinite(values).all() else ""
            raise AsdError(f"{path}: {frontend.name} features are not finite numbers{kind}")
        return stored

    def take(self, part: Part, content: str, values: np.ndarray) -> None:
        """Write a clip's features; a clip of another part ends the part before.

        Raises:
            AsdError: the disk is full, or will be.
        """
        if self._writer is None or self._writer.label != "-".join(part):
            self.finish()
            self._writer = self._start("-".join(part), values.nbytes * self._to_come)
        with saying(self._writer.partial):
            self._writer.append([len(values)], [content], values)
        self._to_come -= 1

    def _start(self, label: str, needed: int) -> PartWriter:
        """Begin a part where so many bytes are needed for all that is still to come."""
        store, free = self.store, shutil.disk_usage(self.store.root).free
        if needed > free:
            raise AsdError(
                f"{store.folder}: the features need {decimal(needed)} and {decimal(free)} "
                "are free; free some space, set paths.cache to a larger disk, or use "
                "features.dtype=float16"
            )
        with saying(store.folder / label):
            if not self._started:
                log.info("computing %s features of %s clips", store.frontend.name, self._to_come)
                text = json.dumps(store.settings(), indent=2, default=str)
                write_text(store.folder / SETTINGS, text + "\n")
                self._started = True
            return PartWriter(store.folder, label, store.frontend.bands, store.dtype)

    def finish(self) -> None:
        """Make the part that is being written whole.

        Raises:
            AsdError: the disk is full.
        """
        if self._writer is not None:
            with saying(self._writer.partial), closing(self._writer) as writer:
                self._writer = None
                writer.finish()

    def build(self, parts: list[Manifest]) -> None:
        """Compute these parts from their files.

        Raises:
            AsdError: a clip cannot be used, or the disk is full; parts done by then are kept.
        """
        for part in parts:
            frames_of(self.store.frontend, part)  # names a clip that is too short
        clips = [
            (part.root / path, content)
            for part in parts
            for path, content in zip(part.clips["path"], part.clips["hash"], strict=True)
        ]
        self._to_come = len(clips)
        label = f"{self.store.frontend.name} features"
        with closing(in_threads(self._compute_file, clips, self.workers, label)) as results:
            for part in parts:
                name = part_name(part)
                for content in part.clips["hash"]:
                    self.take(name, content, next(results))
                self.finish()
            next(results, None)  # its end says how long it took

    def _compute_file(self, clip: tuple[Path, str]) -> np.ndarray:
        path, content = clip
        recording = Recording.read(path)
        if recording.hash != content:
            raise AsdError(
                f"{path}: changed since the corpus was checked: start again (if that does not "
                "help, remove the folder scan in paths.cache)"
            )
        return self.compute(recording)


def part_name(clips: Manifest) -> Part:
    """Release, machine type and split of a part's clips."""
    return Part(*clips.clips.iloc[0][list(Part._fields)])


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
