"""The command line of the feature store."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from corpora import feature_store, folder

from asd.features import __main__ as command
from asd.frontends.mel import Mel


@pytest.fixture
def corpus(write_corpus: Callable[..., Path]) -> Path:
    """Two machine types, two IDs each, three training and four test clips an ID."""
    return write_corpus(seconds=0.2)


def run(cache: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    try:
        status = command.main([*arguments, f"paths.cache={cache}"])
    except SystemExit as error:  # of argparse
        status = int(error.code or 0)
    shown = capsys.readouterr()
    return status, shown.out + shown.err


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


def test_what_is_wrong_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in (
        (["build", "data=folder", f"data.root={tmp_path / 'nowhere'}"], "nowhere"),
        (["build", "frontend.bands=0"], "frontend.bands=0"),
        (["build", "frontnd=mel"], "frontnd"),
        (["build", "gammatone"], "gammatone"),
        (["prune"], "invalid choice"),
    ):
        status, text = run(tmp_path / "cache", capsys, *words)
        assert status == 2, words
        assert message in text
