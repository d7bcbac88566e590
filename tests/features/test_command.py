"""The command line of the feature store."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from corpora import feature_store, folder

from asd.features import command
from asd.features.lock import locked
from asd.frontends.gammatone import Gammatone
from asd.frontends.mel import Mel

GAMMATONE, MEL = Gammatone(bands=16), Mel(bands=32, n_fft=512, hop=256)


@pytest.fixture
def corpus(write_corpus: Callable[..., Path]) -> Path:
    """Two machine types, two IDs each, three training and four test clips an ID."""
    return write_corpus(seconds=0.2)


@pytest.fixture
def cache(corpus: Path, tmp_path: Path) -> Path:
    """A cache folder with features of two front ends."""
    clips = folder(corpus).manifest(["development"])
    for frontend in (GAMMATONE, MEL):
        feature_store(tmp_path / "cache" / "features", frontend).build(clips)
    return tmp_path / "cache"


def run(cache: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    status = command.main([*arguments, f"paths.cache={cache}"])
    shown = capsys.readouterr()
    return status, shown.out + shown.err


def keys_of(cache: Path) -> list[str]:
    return sorted(p.name for p in (cache / "features").iterdir() if p.is_dir())


def flip_a_byte(data: Path) -> None:
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)


def test_build_computes_what_a_run_reads(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["data=folder", f"data.root={corpus}", "frontend=mel", "features.dtype=float16"]
    status, text = run(tmp_path / "cache", capsys, "build", *options)
    assert status == 0
    assert "28 clips" in text and "whole" in text
    store = feature_store(tmp_path / "cache" / "features", Mel(), dtype="float16")
    clips = folder(corpus).manifest(["development"])
    shutil.rmtree(corpus)
    assert len(store.load(clips).frames) == 28


def test_what_is_wrong_is_said(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, message in (
        (["build", "data=folder", f"data.root={tmp_path / 'nowhere'}"], "nowhere"),
        (["build", "frontend.bands=0"], "frontend.bands=0"),
        (["build", "frontnd=mel"], "frontnd"),
        (["build", "gammatone"], "gammatone: is for prune"),
        (["build", "--quick"], "--quick: is for list"),
        (["list", "--dry-run"], "--dry-run: is for prune"),
        (["prune"], "say what is to go"),
        (["prune", "--dry-run"], "say what is to go"),
        (["prune", "--all", "--damaged"], "say what is to go"),
        (["prune", "--older-than", "-1"], "--older-than=-1"),
        (["prune", "mel"], f"there is {keys_of(cache)[0]}"),
    ):
        status, text = run(cache, capsys, *words)
        assert status == 2, words
        assert message in text
    assert len(list((cache / "features").glob("*/*.npy"))) == 8


def test_list_shows_settings_and_state(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, text = run(cache, capsys, "list")
    assert status == 0
    for key in keys_of(cache):
        assert f"{key}: 28 clips in 4 parts, " in text
    assert text.count("used today, whole") == 2
    assert "bands=16" in text and "n_fft=512" in text and "dtype=float32" in text

    data = sorted((cache / "features").glob("mel-*/*.npy"))[0]
    flip_a_byte(data)
    assert "1 damaged" not in run(cache, capsys, "list", "--quick")[1]
    assert f"{data.stem} is damaged: it has another checksum" in run(cache, capsys, "list")[1]
    data.with_suffix(".json").unlink()
    (data.parent / "settings.json").write_text("?")
    text = run(cache, capsys, "list", "--quick")[1]
    assert f"{data.stem} is damaged: one of its two files is missing" in text
    assert "settings not known" in text


def test_list_of_no_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, capsys, "list") == (0, f"{tmp_path / 'features'}: no features\n")


def test_prune_by_key(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gammatone, mel = keys_of(cache)
    (cache / "features" / mel / "development-fan-train.partial").touch()  # of a killed build
    status, text = run(cache, capsys, "prune", mel, "--dry-run")
    assert status == 0
    assert text.count(f"would remove {mel}/") == 4
    assert keys_of(cache) == [gammatone, mel]
    assert run(cache, capsys, "prune", mel)[0] == 0
    assert keys_of(cache) == [gammatone]


def test_prune_what_is_damaged(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = sorted((cache / "features").glob("gammatone-*/*.npy"))
    flip_a_byte(data[1])
    status, text = run(cache, capsys, "prune", "--damaged")
    assert status == 0
    assert text.count("removed ") == 1
    assert data[1].stem in text
    assert sorted((cache / "features").glob("gammatone-*/*.npy")) == [data[0], *data[2:]]


def test_prune_what_was_not_used_for_long(
    cache: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long_ago = time.time() - 40 * 86400
    for path in (cache / "features").glob("*/*"):
        os.utime(path, (long_ago, long_ago))
    clips = folder(corpus).manifest(["development"]).select(split="train")
    feature_store(cache / "features", MEL).load(clips)
    assert "used 40 days ago" in run(cache, capsys, "list", "--quick")[1]
    assert run(cache, capsys, "prune", "--older-than", "41")[1] == "0 bytes freed\n"
    text = run(cache, capsys, "prune", "--older-than", "39")[1]
    assert text.count("removed ") == 6  # gammatone's four, and mel's two of test clips
    left = sorted(path.stem.rsplit("-", 1)[0] for path in (cache / "features").glob("*/*.npy"))
    assert left == ["development-fan-train", "development-pump-train"]


def test_prune_leaves_alone_what_is_being_built(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gammatone, mel = keys_of(cache)
    with locked(cache / "features" / gammatone):
        status, text = run(cache, capsys, "prune", "--all")
    assert status == 0
    assert f"left alone, for another process is computing there: {gammatone}" in text
    assert keys_of(cache) == [gammatone]
    assert len(list((cache / "features" / gammatone).glob("*.npy"))) == 4
    assert mel in text
