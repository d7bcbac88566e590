"""How the features of clips are computed in the same pass that checks them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from asd.data.audio import Recording


class Part(NamedTuple):
    """Clips that belong together, as a feature store keeps them."""

    release: str
    machine: str
    split: str


class PartReader(Protocol):
    """What takes clips while a scan checks them, so that no file is read and decoded twice."""

    @property
    def workers(self) -> int:
        """Threads that compute."""

    def begin(self) -> AbstractContextManager[object]:
        """Around a scan that reads files; left by an exception if one of them cannot be used."""

    def choose(self, parts: Mapping[Part, int]) -> Collection[Part]:
        """Which of these parts (with the clips that will come of each) are to be computed."""

    def compute(self, recording: Recording) -> Any:
        """What is kept of a clip of a chosen part; called from several threads.

        Raises:
            AsdError: the clip does not do; the scan ends with this error.
        """

    def take(self, part: Part, content: str, values: Any) -> None:
        """A clip's content hash and what ``compute`` gave: part by part, in the manifest's order.

        Raises:
            AsdError: it cannot be kept.
        """
