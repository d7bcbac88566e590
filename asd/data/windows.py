"""Windows: which consecutive frames of a clip the network sees at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from asd.errors import AsdError
from asd.options import check_choice, check_number, check_whole

if TYPE_CHECKING:
    from asd.frontends.frontend import FrontEnd


@dataclass(frozen=True)
class Windows:
    """How clips are cut into windows of one length.

    Args:
        seconds: the window's length as a clip of that length has frames; null: as long as the
            shortest training clip. Not used when ``frames`` is given.
        frames: the window's length in frames, or null.
        cover: ``first``: the first window of the clip alone (the paper's 500 frames);
            ``all``: side by side over the whole clip, the last one ending with it;
            ``every``: one at every frame position (B's five-frame windows).
    """

    seconds: float | None
    frames: int | None
    cover: str

    def __post_init__(self) -> None:
        check_choice("window.cover", self.cover, ("first", "all", "every"))
        if self.frames is not None:
            check_whole("window.frames", self.frames, 1)
        if self.seconds is not None:
            check_number("window.seconds", self.seconds, 0, above=True)

    def length(self, frontend: FrontEnd, shortest: int) -> int:
        """Frames in a window.

        Args:
            frontend: gives the frames in a number of samples.
            shortest: samples at the front end's rate in the shortest training clip.
        """
        if self.frames is not None:
            return self.frames
        samples = shortest if self.seconds is None else round(self.seconds * frontend.rate)
        return frontend.n_frames(samples)

    def check(self, length: int, frames: np.ndarray, files: list[str]) -> None:
        """Refuse clips that are shorter than a window; arguments as those of ``starts``.

        Raises:
            AsdError: names the clips.
        """
        short = [name for name, count in zip(files, frames, strict=True) if count < length]
        if short:
            raise AsdError(
                f"{len(short)} clips are shorter than a window of {length} frames, the shortest "
                f"has {frames.min()}: {', '.join(short[:5])}{', ...' if short[5:] else ''}. Leave "
                "them out, or train with a shorter window (window.seconds or window.frames; "
                "window.seconds=null: as long as the shortest training clip)"
            )

    def starts(
        self, length: int, frames: np.ndarray, files: list[str], chosen: np.ndarray | None = None
    ) -> Index:
        """Where the windows begin; ``AsdError`` of a clip shorter than one.

        Args:
            length: frames in a window.
            frames: [clips] frames in each clip; clips lie one after another in the features.
            files: [clips] their names, for messages.
            chosen: [clips] whether its windows are wanted; None: all.
        """
        numbers = np.arange(len(frames)) if chosen is None else np.flatnonzero(chosen)
        self.check(length, frames[numbers], [files[number] for number in numbers])
        offsets = (np.cumsum(frames) - frames).astype(np.int64)
        inside = [_inside(self.cover, length, int(count)) for count in frames[numbers]]
        clips = np.repeat(numbers, [len(starts) for starts in inside])
        return Index(length, offsets[clips] + np.concatenate(inside), clips)

    def training(self, windows: Index, frames: np.ndarray) -> Index:
        """Of ``starts``'s windows of clips of so many frames: those that train and validate."""
        return windows


@dataclass(frozen=True)
class Snippets(Windows):
    """In training one window of a clip an epoch, begun anywhere; scores are of ``cover``."""

    def training(self, windows: Index, frames: np.ndarray) -> Index:
        """See ``Windows``."""
        clips, first = np.unique(windows.clips, return_index=True)
        slack = (frames[clips] - windows.length).astype(np.int64)
        return Index(windows.length, windows.starts[first], clips, slack)


@dataclass(frozen=True)
class Index:
    """Windows of a set of clips: ``starts`` [windows] first frames, ``clips`` [windows] numbers.

    ``slack`` [windows]: in training each begins up to so many frames later, drawn in every epoch.
    """

    length: int
    starts: np.ndarray
    clips: np.ndarray
    slack: np.ndarray | None = None

    def of_clips(self, chosen: np.ndarray) -> Index:
        """The windows of the clips where ``chosen`` [clips] is true."""
        keep = chosen[self.clips]
        slack = None if self.slack is None else self.slack[keep]
        return Index(self.length, self.starts[keep], self.clips[keep], slack)


def _inside(cover: str, length: int, frames: int) -> np.ndarray:
    last = frames - length
    if cover == "first":
        return np.zeros(1, dtype=np.int64)
    if cover == "every":
        return np.arange(last + 1, dtype=np.int64)
    starts = np.arange(0, last + 1, length, dtype=np.int64)
    return starts if starts[-1] == last else np.append(starts, np.int64(last))
