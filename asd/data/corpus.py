"""What every corpus offers: a cheap check before any work, and a manifest."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from asd.composition import build
from asd.data.audio import Channel
from asd.data.manifest import Manifest


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

    def manifest(self, releases: list[str]) -> Manifest:
        """All clips of these releases, made first if the corpus is a simulated one.

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
