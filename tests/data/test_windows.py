from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from asd.data.windows import Windows
from asd.errors import AsdError


@dataclass
class Hops:
    """A front end's counting: a frame every 10 samples."""

    rate: int = 100

    def n_frames(self, samples: int) -> int:
        return samples // 10


def starts(cover: str, length: int, frames: list[int]) -> tuple[list[int], list[int]]:
    names = [f"clip{i}.wav" for i in range(len(frames))]
    index = Windows(None, length, cover).starts(length, np.array(frames), names)
    return index.starts.tolist(), index.clips.tolist()


def test_first_takes_one_window_a_clip() -> None:
    assert starts("first", 5, [5, 7, 6]) == ([0, 5, 12], [0, 1, 2])


def test_all_covers_every_frame_and_stays_inside() -> None:
    assert starts("all", 5, [5, 12]) == ([0, 5, 10, 12], [0, 1, 1, 1])


def test_every_is_every_frame_position() -> None:
    assert starts("every", 5, [6, 5]) == ([0, 1, 6], [0, 0, 1])


def test_length_in_seconds_is_what_a_clip_of_that_length_has() -> None:
    assert Windows(1.5, None, "first").length(Hops(), 999) == 15
    assert Windows(None, None, "first").length(Hops(), 230) == 23
    assert Windows(None, 5, "every").length(Hops(), 230) == 5


def test_a_short_clip_is_named_with_what_to_do() -> None:
    with pytest.raises(AsdError, match=r"clip1\.wav.*window\.seconds"):
        starts("first", 5, [5, 4, 6])


def test_of_clips_keeps_the_windows_of_those_clips() -> None:
    index = Windows(None, 2, "every").starts(2, np.array([3, 2, 4]), ["a", "b", "c"])
    chosen = index.of_clips(np.array([True, False, True]))
    assert chosen.starts.tolist() == [0, 1, 5, 6, 7]
    assert chosen.clips.tolist() == [0, 0, 2, 2, 2]


@pytest.mark.parametrize(
    ("values", "option"),
    [((1.0, None, "some"), "cover"), ((0.0, None, "all"), "seconds"), ((None, 0, "all"), "frames")],
)
def test_bad_options_are_named(values: tuple, option: str) -> None:
    with pytest.raises(AsdError, match=rf"window\.{option}="):
        Windows(*values)
