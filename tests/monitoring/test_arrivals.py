"""Files are taken once they are whole, pipes clip by clip whatever the chunks."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from asd.errors import AsdError
from asd.monitoring.arrivals import folder_arrivals, pipe_clips


@pytest.mark.parametrize("chunk", [1, 7, 640, 100_000])
def test_clips_of_a_pipe_do_not_depend_on_its_chunks(chunk: int) -> None:
    content = np.random.default_rng(chunk).bytes(1999)
    read, write = os.pipe()
    with os.fdopen(write, "wb", buffering=0) as sink, os.fdopen(read, "rb") as source:
        for start in range(0, len(content), chunk):
            sink.write(content[start : start + chunk])
        sink.close()
        clips = list(pipe_clips(source, 640, idle=60.0))
    assert b"".join(clip or b"" for clip in clips) == content
    assert [len(clip or b"") for clip in clips] == [640, 640, 640, 79]


def test_a_silent_pipe_is_told_once(tmp_path: Path) -> None:
    read, write = os.pipe()
    with os.fdopen(write, "wb", buffering=0) as sink, os.fdopen(read, "rb") as source:
        clips = pipe_clips(source, 2, idle=0.05)
        assert next(clips) is None
        sink.write(b"abc")
        assert next(clips) == b"ab"
        assert next(clips) is None
        sink.close()
        assert list(clips) == [b"c"]


def test_a_device_that_is_gone_has_ended() -> None:
    device, other = os.openpty()
    os.write(other, b"abc")
    os.close(other)
    with os.fdopen(device, "rb", buffering=0) as source:
        assert list(pipe_clips(source, 2, idle=60.0)) == [b"ab", b"c"]


def test_a_file_is_taken_when_it_no_longer_grows(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".hidden.wav").touch()
    (tmp_path / "notes.txt").touch()
    old, growing = tmp_path / "sub" / "old.wav", tmp_path / "new.FLAC"
    growing.write_bytes(b"1")
    old.write_bytes(b"1")
    os.utime(old, (0, 0))
    ended = threading.Event()

    def grow() -> None:
        size = 1
        while not ended.wait(0.02):
            size += 1
            growing.write_bytes(b"1" * size)

    writer = threading.Thread(target=grow)
    writer.start()
    arrivals = folder_arrivals(tmp_path, settle=0.3, idle=0.5)
    first = next(arrivals)
    assert first is not None and first.file == "sub/old.wav"
    assert next(arrivals) is None  # that it grows is no clip
    ended.set()
    writer.join()
    second = next(arrivals)
    assert second == ("new.FLAC", growing.stat().st_size, growing.stat().st_mtime_ns)
    assert next(arrivals) is None
    old.write_bytes(b"other")  # written anew, it is another
    third = next(arrivals)
    assert third is not None and (third.file, third.size) == ("sub/old.wav", 5)
    again = folder_arrivals(tmp_path, 0, 1, done=[first, second], once=True)
    assert list(again) == [third]


def test_a_file_written_anew_before_its_turn_is_given_once(tmp_path: Path) -> None:
    first, second = tmp_path / "a.wav", tmp_path / "b.wav"
    for n, file in enumerate((first, second)):
        file.write_bytes(b"1")
        os.utime(file, (n, n))
    arrivals = folder_arrivals(tmp_path, settle=0, idle=60, once=True)
    assert next(arrivals) == ("a.wav", 1, 0)
    second.write_bytes(b"other")
    assert list(arrivals) == [("b.wav", 5, second.stat().st_mtime_ns)]


def test_a_folder_that_vanishes_is_said(tmp_path: Path) -> None:
    place = tmp_path / "in"
    place.mkdir()
    arrivals = folder_arrivals(place, settle=0, idle=0.05)
    assert next(arrivals) is None
    place.rmdir()
    with pytest.raises(AsdError, match="in: cannot list this folder"):
        next(arrivals)
