"""The command line of the feature store."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from corpora import feature_store, folder

from asd.features import __main__ as command
from asd.features.part import locked
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
    try:
        status = command.main([*arguments, f"paths.cache={cache}"])
    except SystemExit as error:  # of argparse
        status = int(error.code or 0)
    shown = capsys.readouterr()
    return status, shown.out + shown.err


def keys_of(cache: Path) -> list[str]:
    return sorted(p.name for p in (cache / "features").iterdir() if p.is_dir())


def parts_in(cache: Path, key: str = "*") -> list[Path]:
    return sorted((cache / "features").glob(f"{key}/*.npy"))


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
        (["build", "gammatone"], "prune, and nothing else, takes"),
        (["list", "--dry-run"], "prune, and nothing else, takes"),
        (["prune", "--dry-run"], "prune, and nothing else, takes"),
        (["prune", "--all", "mel"], "prune, and nothing else, takes"),
        (["prune", "--older-than=-1"], "--older-than=-1"),
        (["prune", "mel"], f"there is {keys_of(cache)[0]}"),
    ):
        status, text = run(cache, capsys, *words)
        assert status == 2, words
        assert message in text
    assert len(parts_in(cache)) == 8
    assert run(tmp_path, capsys, "list") == (0, f"{tmp_path / 'features'}: no features\n")


def test_list_shows_settings_and_state(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, text = run(cache, capsys, "list")
    assert status == 0
    for key in keys_of(cache):
        assert f"{key}: 4 parts, " in text
    assert text.count("used 0 days ago\n") == 2
    assert '"bands": 16' in text and '"n_fft": 512' in text and '"dtype": "float32"' in text
    settings = parts_in(cache, "mel-*")[0].with_name("settings.json")
    settings.write_text(settings.read_text().replace('"format": ', '"format": 1'))
    assert "used 0 days ago, of another version of asd: prune it" in run(cache, capsys, "list")[1]
    settings.unlink()
    assert "settings not known" in run(cache, capsys, "list")[1]


def test_prune_by_key(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gammatone, mel = keys_of(cache)
    (cache / "features" / mel / ".fan.npy.7.partial").touch()  # of a killed build
    status, text = run(cache, capsys, "prune", mel, "--dry-run")
    assert status == 0
    assert f"{mel}: 4 parts, " in text and "would be removed" in text
    assert len(parts_in(cache)) == 8
    assert run(cache, capsys, "prune", mel)[0] == 0
    assert keys_of(cache) == [gammatone]


def test_prune_what_was_not_used_for_long(
    cache: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long_ago = time.time() - 40 * 86400
    for path in (cache / "features").glob("*/*"):
        os.utime(path, (long_ago, long_ago))
    clips = folder(corpus).manifest(["development"]).select(split="train")
    feature_store(cache / "features", MEL).load(clips)
    assert "used 40 days ago" in run(cache, capsys, "list")[1]
    assert run(cache, capsys, "prune", "--older-than", "41") == (0, "")
    run(cache, capsys, "prune", "--older-than", "39")
    left = [path.stem.rsplit("-", 1)[0] for path in parts_in(cache)]
    assert left == ["development-fan-train", "development-pump-train"]


def test_prune_leaves_alone_what_is_being_built(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gammatone, _ = keys_of(cache)
    with locked(cache / "features" / gammatone):
        status, text = run(cache, capsys, "prune", "--all")
    assert status == 0
    assert "left alone, for another process is computing there" in text
    assert keys_of(cache) == [gammatone]
    assert len(parts_in(cache)) == 4
