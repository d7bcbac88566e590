"""``python -m asd.watch``: a stream is scored as the file, alarms, silence, kill -9."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from parts import MEL, save_model

from asd.score import main as score
from asd.watch import main as watch

KILLS = int(os.environ.get("ASD_KILLS", "100"))
GAMMATONE = {
    "_target_": "asd.frontends.gammatone.Gammatone", "rate": 16000, "bands": 8,
    "window_seconds": 0.032, "hop_seconds": 0.016, "f_min": 50.0,
}  # fmt: skip
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def bars(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watch wants none in its process, which here goes on to other tests."""
    monkeypatch.setattr("asd.progress.quiet", False)


def noise(seed: int, samples: int = 8000, loud: float = 0.1) -> np.ndarray:
    values = loud * np.random.default_rng(seed).standard_normal(samples)
    return (32767 * values.clip(-0.99, 0.99)).astype("<i2")


def piped(
    content: bytes, chunk: int, patch: pytest.MonkeyPatch, capsys: Capture, *words: str
) -> list[dict[str, Any]]:
    """What the watch says of a pipe that is written in such chunks."""
    read, write = os.pipe()

    def feed() -> None:
        with os.fdopen(write, "wb", buffering=0) as sink:
            for start in range(0, len(content), chunk):
                sink.write(content[start : start + chunk])

    writer = threading.Thread(target=feed)
    writer.start()
    with os.fdopen(read) as source:
        patch.setattr(sys, "stdin", source)
        assert watch([*words]) == 0
        writer.join()
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("frontend", [MEL, GAMMATONE], ids=["mel", "gammatone"])
@pytest.mark.parametrize(("channels", "rate"), [(1, 16000), (2, 22050)])
def test_a_stream_is_scored_as_the_file_whatever_the_chunks(
    frontend: dict[str, Any], channels: int, rate: int, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: Capture,
) -> None:  # fmt: skip
    model = str(save_model(tmp_path / "model.ckpt", frontend=frontend))
    clips = [noise(n, channels * rate // 2).reshape(-1, channels) for n in range(3)]
    files = [tmp_path / f"{n}.wav" for n in range(3)]
    for file, clip in zip(files, clips, strict=True):
        soundfile.write(file, clip, rate)
    alone = []
    for file in files:
        assert score([model, str(file), "--channel", str(channels - 1)]) == 0
        alone.append(pd.read_csv(io.StringIO(capsys.readouterr().out)).iloc[0])
    content = b"".join(clip.tobytes() for clip in clips) + b"123"
    words = [model, "-", "--seconds", "0.5", "--rate", str(rate), "--channels", str(channels)]
    for chunk in (333, 4096, len(content)):
        *said, end = piped(
            content, chunk, monkeypatch, capsys, *words, "--channel", str(channels - 1)
        )
        for name in ("score", "percentile", "p_value", "verdict", "state"):
            assert [one[name] for one in said] == [one[name] for one in alone]
        assert [one["at_seconds"] for one in said] == [0, 0.5, 1]
        assert end["state"].startswith("input ended; ")


def test_alarm_after_k_of_n_and_silence_is_neither(tmp_path: Path, capsys: Capture) -> None:
    """With the verdicts of asd.score; a machine that is off does not count."""
    model = str(save_model(tmp_path / "model.ckpt"))
    place = tmp_path / "in"
    place.mkdir()
    capsys.readouterr()
    loud = [1e-4, 0.3, 0, 0.3, 0.3, 1e-4, 1e-4, 0.3]
    for n, level in enumerate(loud):
        soundfile.write(place / f"{n}.wav", noise(n, loud=level), 16000)
    (place / "8.wav").write_bytes(b"RIFF")
    for n in range(9):
        os.utime(place / f"{n}.wav", (n, n))
    assert score([model, str(place), "--rule", "quantile", "--false-alarms", "0.05"]) == 2
    table = pd.read_csv(io.StringIO(capsys.readouterr().out))
    words = [model, str(place), "--once", "--settle", "0", "--alarm", "2", "3"]
    words += ["--rule", "quantile", "--false-alarms", "0.05"]
    assert watch(words) == 0
    shown = capsys.readouterr().out
    assert (place / "watch.jsonl").read_text() == shown
    said = [json.loads(line) for line in shown.splitlines()]
    assert [one["file"] for one in said] == [f"{n}.wav" for n in range(9)]
    for name in ("score", "p_value", "verdict"):
        assert [one[name] for one in said] == [None if v != v else v for v in table[name]]
    over = [one["verdict"] == "ALARM" for one in said if one["score"] is not None]
    expected = [sum(over[max(0, n - 2) : n + 1]) >= 2 for n in range(len(over))]
    assert [one["alarm"] for one in said if one["score"] is not None] == expected
    assert True in expected and False in expected
    assert [(one["state"][:6], one["alarm"]) for one in said if one["score"] is None] == [
        ("silent", None), ("error:", None)]  # fmt: skip
    assert watch(words) == 0 and capsys.readouterr().out == ""
    assert {one["machine"] for one in said} == {"fan/00"}


def test_drift_is_said_and_stays_and_another_model_begins_anew(
    tmp_path: Path, capsys: Capture
) -> None:
    """The same scores one after another: p-values that no machine gives by chance."""
    model = str(save_model(tmp_path / "model.ckpt"))
    place = tmp_path / "in"
    place.mkdir()
    words = [str(place), "--once", "--settle", "0", "--drift", "0.2"]
    for n in range(16):
        soundfile.write(place / f"{n:02d}.wav", noise(n, 4000, 0.2 + 0.02 * n), 16000)
        os.utime(place / f"{n:02d}.wav", (n, n))
        assert watch([model, *words]) == 0  # a process a clip: what was said goes on counting
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    first = [one["drift"] >= 5 for one in said].index(True)
    assert [one["drifted"] for one in said] == [n >= first for n in range(16)]
    other = str(save_model(tmp_path / "other.ckpt", longest_seconds=9.0))
    soundfile.write(place / "16.wav", noise(16, 4000, 0.1), 16000)
    assert watch([other, *words]) == 0
    (one,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert one["drift"] == 1.0 and not one["drifted"] and one["model"] != said[0]["model"]


def test_that_input_stopped_is_said_once(tmp_path: Path, capsys: Capture, monkeypatch: Any) -> None:
    model = str(save_model(tmp_path / "model.ckpt"))
    read, write = os.pipe()
    closing = threading.Timer(0.5, os.close, (write,))
    closing.start()
    with os.fdopen(read) as source:
        monkeypatch.setattr(sys, "stdin", source)
        assert watch([model, "-", "--idle", "0.1"]) == 0
    closing.join()
    states = [json.loads(line)["state"] for line in capsys.readouterr().out.splitlines()]
    assert states == ["input stopped: nothing for 0.1 s", "input ended; 0 s are left, no clip"]


@pytest.mark.parametrize(
    ("words", "message"),
    [(["nowhere"], "no such folder"), ([".", "--alarm", "4", "3"], "--alarm: K"),
     ([".", "--drift", "0"], "--drift"), (["-", "--rate", "0"], "--rate"),
     ([".", "--idle", "0"], "--idle"), ([".", "--out", "."], "cannot be opened")],
)  # fmt: skip
def test_what_cannot_be_is_refused(
    words: list[str], message: str, tmp_path: Path, capsys: Capture, monkeypatch: Any
) -> None:
    model = str(save_model(tmp_path / "model.ckpt"))
    monkeypatch.chdir(tmp_path)
    assert watch([model, *words]) == 2
    assert message in capsys.readouterr().err


def test_a_file_in_the_pipe_is_no_samples(
    tmp_path: Path, capsys: Capture, monkeypatch: Any
) -> None:
    model = str(save_model(tmp_path / "model.ckpt"))
    for name in ("a.wav", "a.flac"):
        soundfile.write(tmp_path / name, noise(0), 16000)
        with (tmp_path / name).open() as source:
            monkeypatch.setattr(sys, "stdin", source)
            assert watch([model, "-"]) == 2
        shown = capsys.readouterr()
        assert "this is a WAV, AIFF or FLAC file, not raw PCM" in shown.err and not shown.out


def test_a_model_that_there_is_not_leaves_no_journal(tmp_path: Path, capsys: Capture) -> None:
    assert watch([str(tmp_path / "none.ckpt"), str(tmp_path)]) == 2
    assert "none.ckpt" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_full_disk_ends_the_watch_and_the_journal_knows(tmp_path: Path) -> None:
    model = save_model(tmp_path / "model.ckpt")
    place = tmp_path / "in"
    place.mkdir()
    soundfile.write(place / "0.wav", noise(0), 16000)
    words = ["watch", str(model), str(place), "--once", "--settle", "0"]
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "asd", *words]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.endswith(
        "error: standard output cannot be written: No space left on device\n"
    )
    assert len((place / "watch.jsonl").read_text().splitlines()) == 1


def lives(model: str, place: Path) -> None:
    """A process that has all imported and used, whose forks watch and are killed: in half of their
    lives right after a line, else at any moment. Meanwhile clips arrive.
    """
    chance = random.Random(0)
    journal, clips = place / "watch.jsonl", 0
    words = [model, str(place), "--settle", "0"]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    for n in range(KILLS):
        for _ in range(chance.choice([1, 1, 2])):
            hidden = place / f".{clips}.wav"
            soundfile.write(hidden, noise(clips, 3000, 10 ** chance.uniform(-4, -1)), 16000)
            hidden.rename(place / f"{clips:03d}.wav")
            clips += 1
        if n == 0:
            watch([*words, "--once"])
        before = journal.stat().st_size
        child = os.fork()
        if not child:
            watch(words)
            os._exit(1)
        if n % 2:
            while journal.stat().st_size == before:
                assert os.waitpid(child, os.WNOHANG) == (0, 0)
                time.sleep(0.001)
            time.sleep(chance.choice([0, chance.uniform(0, 0.01)]))
        else:
            time.sleep(chance.uniform(0, 0.15))
        os.kill(child, signal.SIGKILL)
        assert os.waitpid(child, 0) == (child, signal.SIGKILL)
    assert watch([*words, "--once"]) == 0


def test_kill_minus_9_loses_no_clip_and_scores_none_twice(tmp_path: Path) -> None:
    """The lines are those of a watch that nobody killed, alarms and drift too."""
    model = str(save_model(tmp_path / "model.ckpt"))
    place = tmp_path / "in"
    place.mkdir()
    process = multiprocessing.get_context("spawn").Process(target=lives, args=(model, place))
    process.start()
    process.join()
    assert process.exitcode == 0
    out = tmp_path / "unbroken.jsonl"
    assert watch([model, str(place), "--settle", "0", "--once", "--out", str(out)]) == 0
    said, unbroken = (
        [{k: v for k, v in json.loads(line).items() if k != "time"}
         for line in path.read_text().splitlines()]
        for path in (place / "watch.jsonl", out)
    )  # fmt: skip
    assert [one["file"] for one in unbroken] == sorted(file.name for file in place.glob("*.wav"))
    assert len(unbroken) >= KILLS and said == unbroken
