from __future__ import annotations

import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import corpora
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from asd.data.audio import Channel, Recording
from asd.data.clip_files import LOSSY_SUFFIXES, SUFFIXES, Clip, list_clips, parse_name
from asd.data.manifest import COLUMNS, Part
from asd.data.scan import scan
from asd.errors import AsdError


@pytest.fixture
def train(tmp_path: Path, write_clip: Callable[..., Path]) -> Path:
    """``<tmp>/root/fan/train`` with three good clips."""
    folder = tmp_path / "root" / "fan" / "train"
    for n in range(3):
        write_clip(folder / f"normal_id_00_{n:08d}.wav", seed=n)
    return folder


def run(folder: Path, **options: object) -> list[dict[str, object]]:
    clips, problems = list_clips(folder, Part("development", "fan", folder.name))
    return scan(corpora.folder(folder.parents[1], **options), clips, problems)


BAD_NAMES = """normal_00_1.wav broken_id_00_1.wav normal_id_00.wav normal_id_00_12a.wav
normal_id_00_1.wav.bak xnormal_id_00_1.wav normal_id_0_0_1.wav normal_id_00_1.txt normal_id_00_1
normal_id_00_\u0661.wav normal_id_\udcff_1.wav"""


def test_names() -> None:
    assert parse_name("normal_id_00_00000012.wav") == ("00", 0)
    assert parse_name("anomaly_id_06_00000000.Flac") == ("06", 1)
    assert parse_name("id_01_00000003.aiff") == ("01", -1)
    assert parse_name("normal_id_A7-b_1.WAV") == ("A7-b", 0)
    assert [name for name in BAD_NAMES.split() if parse_name(name)] == []


@given(st.one_of(st.text(), st.from_regex(r"(normal_|anomaly_)?id_[\w-]*_\d*\.\w*")))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_a_name_that_is_understood_says_all_again(name: str) -> None:
    """Nothing but what was understood stands in the name, so nothing can be smuggled in it."""
    parsed = parse_name(name)
    if parsed is not None:
        machine_id, label = parsed
        start = {0: "normal_id_", 1: "anomaly_id_", -1: "id_"}[label] + machine_id + "_"
        assert name.startswith(start) and name.isascii() and "/" not in name
        number, suffix = name.removeprefix(start).split(".")
        assert number.isdigit() and f".{suffix.lower()}" in SUFFIXES + LOSSY_SUFFIXES


def test_rows(train: Path) -> None:
    rows = run(train)
    assert [set(row) for row in rows] == [set(COLUMNS)] * 3
    file = train / "normal_id_00_00000001.wav"
    assert rows[1] == {
        "release": "development",
        "machine": "fan",
        "id": "00",
        "split": "train",
        "label": 0,
        "path": "fan/train/normal_id_00_00000001.wav",
        "samples": 1600,
        "rate": 16000,
        "hash": hashlib.blake2b(file.read_bytes(), digest_size=8).hexdigest(),
    }
    assert len({row["hash"] for row in rows}) == 3


def test_every_format_is_read_and_anomalies_belong_in_test(
    train: Path, write_clip: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    formats = {"flac": "FLAC", "aiff": "AIFF", "AIF": "AIFF"}
    for suffix, container in formats.items():
        noise = 0.1 * np.random.default_rng(0).standard_normal(1600)
        soundfile.write(train / f"normal_id_01_1.{suffix}", noise, 16000, format=container)
    for name in ("README.md", ".DS_Store", "._normal_id_00_00000000.wav", "list.csv"):
        (train / name).write_text("x")
    assert [row["samples"] for row in run(train)] == [1600] * 6
    assert not caplog.records
    write_clip(train.with_name("test") / "anomaly_id_00_00000000.wav")
    assert [row["label"] for row in run(train.with_name("test"))] == [1]


def test_all_bad_files_are_reported_together(train: Path) -> None:
    (train / "normal_id_00_00000000.wav").write_bytes(b"")
    cut = train / "normal_id_00_00000001.wav"
    cut.write_bytes(cut.read_bytes()[:-100])
    soundfile.write(train / "normal_id_00_00000005.wav", np.zeros((10, 2)), 16000)
    soundfile.write(
        train / "normal_id_00_00000006.wav", np.full(10, np.nan), 16000, subtype="FLOAT"
    )
    (train / "normal_id_00_00000007.wav").write_bytes(b"no sound" * 100)
    (train / "normal_id_00_00000008.wav").symlink_to(train / "gone")
    soundfile.write(train / "normal_id_00_00000009.mp3", np.zeros(800), 16000, format="MP3")
    (train / "fan one.wav").write_bytes(b"")
    (train / "anomaly_id_00_00000000.wav").write_bytes(b"")
    with pytest.raises(AsdError) as caught:
        run(train)
    first, *lines, last = str(caught.value).splitlines()
    assert first == f"{train.parents[1]}: 9 bad clips"
    expected = [
        ("anomaly_id_00_00000000.wav", "training clips must be normal"),
        ("fan one.wav", "{normal,anomaly}_id_<ID>_<digits>.wav"),
        ("normal_id_00_00000000.wav", "no readable WAV, FLAC or AIFF file (0 bytes"),
        ("normal_id_00_00000001.wav", "cut short, 100 bytes"),
        ("normal_id_00_00000005.wav", "data.channel=0..1"),
        ("normal_id_00_00000006.wav", "has samples of nan"),
        ("normal_id_00_00000007.wav", "no readable WAV"),
        ("normal_id_00_00000008.wav", "cannot be read (No such file"),
        ("normal_id_00_00000009.mp3", "MP3 with MPEG_LAYER_III is not read"),
    ]
    assert len(lines) == len(expected)
    for line, (name, reason) in zip(lines, expected, strict=True):
        assert line.startswith(f"  {train / name}: ")
        assert reason in line
    assert "data.on_bad_clip=skip" in last


def test_a_long_report_is_cut(train: Path) -> None:
    for n in range(23):
        (train / f"normal_id_01_{n:08d}.wav").touch()
    with pytest.raises(AsdError, match="23 bad clips") as caught:
        run(train)
    assert str(caught.value).count("(0 bytes") == 20
    assert "and 3 more" in str(caught.value)


def test_skip_names_every_file_left_out(train: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = [f"normal_id_01_{n:08d}.wav" for n in range(25)]
    for name in names:
        (train / name).touch()
    (train / "odd.wav").touch()
    rows = run(train, on_bad_clip="skip")
    assert [row["path"] for row in rows] == [
        f"fan/train/normal_id_00_{n:08d}.wav" for n in range(3)
    ]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "leaves out 26 bad clips" in record.getMessage()
    assert all(name in record.getMessage() for name in [*names, "odd.wav"])
    for file in train.iterdir():
        file.write_bytes(b"")
    assert run(train, on_bad_clip="skip") == []
    assert "leaves out 29 bad clips" in caplog.text


def test_warnings(
    train: Path, write_clip: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    write_clip(train / "normal_id_01_00000000.wav", rate=44100)
    write_clip(train / "normal_id_01_00000001.wav", rate=44100)
    write_clip(train / "normal_id_01_00000002.wav", rate=8000)
    write_clip(train / "normal_id_01_00000003.wav", subtype="PCM_U8")
    soundfile.write(train / "normal_id_01_00000004.wav", np.zeros(1600), 16000)
    soundfile.write(train / "normal_id_01_00000005.wav", np.full(1600, 2.0), 16000, subtype="FLOAT")
    rows = run(train)
    assert len(rows) == 9
    assert {row["rate"] for row in rows} == {8000, 16000, 44100}
    rates, silent, eight, beyond = (record.getMessage() for record in caplog.records)
    assert "3 of 9 clips are resampled to 16000 Hz: " in rates
    assert "1 at 8000 Hz, 2 at 44100 Hz" in rates
    assert "1 clips are silent" in silent
    assert "fan/train/normal_id_01_00000004.wav" in silent
    assert "1 clips have only 8 bits" in eight
    assert "fan/train/normal_id_01_00000005.wav" in beyond


def test_folder_that_cannot_be_listed(train: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> object:  # root, as whom tests may run, may list everything
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(AsdError, match=r"fan/train: cannot list this folder \(Permission denied"):
        run(train)


# The cache


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were read, as they are read."""
    names: list[str] = []
    lock = threading.Lock()

    read = Recording.read

    def counting(path: Path, channel: Channel) -> Recording:
        with lock:
            names.append(path.name)
        return read(path, channel)

    monkeypatch.setattr(Recording, "read", counting)
    return names


def cache_file(cache: Path) -> Path:
    (file,) = (cache / "scan").iterdir()
    return file


def test_only_what_is_new_or_changed_or_bad_is_read_again(
    train: Path,
    tmp_path: Path,
    reads: list[str],
    write_clip: Callable[..., Path],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def again() -> list[str]:
        reads.clear()
        caplog.clear()
        rows.append(run(train, cache=tmp_path / "cache"))
        return sorted(reads)

    rows: list[list[dict[str, object]]] = []
    soundfile.write(train / "normal_id_01_00000004.wav", np.zeros(1600), 44100)
    assert len(again()) == 4
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 2
    assert again() == []
    assert rows[0] == rows[1]
    assert [record.getMessage() for record in caplog.records] == warnings
    changed = write_clip(train / "normal_id_00_00000001.wav", seed=77)  # as large as before
    os.utime(changed, ns=(1, 1))
    assert again() == [changed.name]
    assert [a == b for a, b in zip(*rows[-2:], strict=True)] == [True, False, True, True]
    changed.write_bytes(b"")
    for _ in range(2):  # whoever mends the bad file waits for that one only
        with pytest.raises(AsdError, match="1 bad clips"):
            again()
        assert reads == [changed.name]
    clip = Clip(Part("development", "fan", "train"), "00", 0, changed)
    changed.unlink()
    with pytest.raises(AsdError, match="cannot be read"):
        scan(corpora.folder(train.parents[1], cache=tmp_path / "cache"), [clip], {})


def test_another_channel_is_another_cache(train: Path, tmp_path: Path) -> None:
    values = np.stack([np.zeros(100), np.full(100, 0.5)], axis=1)
    soundfile.write(train / "normal_id_00_00000003.wav", values, 16000)
    assert len(run(train, cache=tmp_path / "cache", channel="mean")) == 4
    with pytest.raises(AsdError, match="2 channels: choose one"):
        run(train, cache=tmp_path / "cache")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1, 2]", b'{"a": 1}', b'{"a": {"size": 1}}', b"\xff\xfe\x00", b'"text"'],
)
def test_a_corrupt_cache_is_made_anew(
    train: Path, tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    first = run(train, cache=tmp_path / "cache")
    file = cache_file(tmp_path / "cache")
    good = json.loads(file.read_text())
    file.write_bytes(content)
    assert run(train, cache=tmp_path / "cache") == first
    assert str(file) in caplog.text
    assert json.loads(file.read_text()) == good


def test_cache_that_cannot_be_written_is_only_a_warning(
    train: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert len(run(train, cache=tmp_path / "cache")) == 3
    assert "cannot write what was learnt" in caplog.text


def test_an_interrupted_scan_goes_on(
    train: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Recording.read

    def interrupted(path: Path, channel: Channel) -> Recording:
        if path.name == "normal_id_00_00000002.wav":
            os.kill(os.getpid(), signal.SIGINT)  # Ctrl-C reaches the main thread
            threading.Event().wait(10)
        return read(path, channel)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Recording, "read", interrupted)
        run(train, cache=tmp_path / "cache")
    kept = json.loads(cache_file(tmp_path / "cache").read_text())
    assert sorted(kept) == [f"fan/train/normal_id_00_{n:08d}.wav" for n in range(2)]
    assert len(run(train, cache=tmp_path / "cache")) == 3


# What hangs or is too short


HANGING = """
import signal, threading
from asd.data.threads import in_threads
from asd.signals import stopped_by

def call(item):
    if item == 3:
        print("hangs", flush=True)
        threading.Event().wait()

with stopped_by(signal.SIGTERM):
    in_threads(call, {"fan": range(9)}, 2, "reading", lambda *_: None)
"""


def test_a_thread_that_hangs_does_not_outlive_sigterm() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HANGING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "hangs\n"
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Terminated" in said
