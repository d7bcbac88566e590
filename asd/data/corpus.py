"""What every corpus offers: a cheap check before any work, and a manifest."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from asd.composition import build
from asd.data.audio import Channel, ClipFacts, Recording
from asd.data.clip_files import Clip
from asd.data.manifest import Manifest, Part

if TYPE_CHECKING:
    import numpy as np


class PartReader(Protocol):
    """What computes features while a scan checks clips, so that no file is read twice."""

    def computing(self) -> AbstractContextManager[None]:
        """Around a scan that reads files: only one process does at a time."""

    def check(self, clip: Clip, facts: ClipFacts) -> None:
        """Refuse a clip of which no features can be computed.

        Raises:
            AsdError: names the clip.
        """

    def wants(self, part: Part) -> bool:
        """Whether it takes the clips of this part."""

    def compute(self, recording: Recording) -> np.ndarray:
        """Features of a clip of a part wanted; an AsdError ends the scan. Threads call it."""

    def store(self, part: Part, hashes: Sequence[str], arrays: Sequence[np.ndarray]) -> None:
        """Keep a part: content hashes and features."""


@runtime_checkable
class Corpus(Protocol):
    """A source of clips. To add one: a class with these members and a file in ``conf/data/``."""

    @property
    def name(self) -> str:
        """Short name, as in ``conf/data/<name>.yaml``."""

    @property
    def simulated(self) -> bool:
        """True if the sounds are made by a program; every table then says so."""

    @property
    def channel(self) -> Channel:
        """Which channel of a file with several is read, as ``asd.data.audio.Recording``."""

    def check(self, releases: list[str]) -> dict[str, int]:
        """Refuse cheaply (no file is read) what cannot work; count what can train.

        Args:
            releases: the releases that the run needs, of ``asd.data.manifest.RELEASES``.

        Returns:
            Machine type -> training clips, by their names alone: ``scale=auto`` goes by them.

        Raises:
            AsdError: a folder or a release is not there; the message says how to get it.
        """

    def is_there(self, releases: list[str]) -> bool:
        """Whether ``manifest`` only has to read; False for a simulated corpus yet to be made."""

    def manifest(self, releases: list[str], reader: PartReader | None = None) -> Manifest:
        """All clips of these releases, made first if the corpus is a simulated one.

        Args:
            releases: of ``asd.data.manifest.RELEASES``.
            reader: takes the clips of parts that are read here for the first time; a corpus may
                leave it unused, as whoever wants something of a clip can read its file later.

        Raises:
            AsdError: a clip cannot be used; the message names every such file.
        """


def corpus_of(options: dict[str, Any]) -> Corpus:
    """The corpus of a composed config group ``data``; its ``test`` is the run's, not the corpus's.

    Raises:
        AsdError: an option is refused.
    """
    corpus: Corpus = build({k: v for k, v in options.items() if k != "test"}, "data")
    return corpus
