"""``python -m asd.features build``: compute what a run would read, before any run does."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from rich.filesize import decimal

from asd.composition import build, compose_config, plain
from asd.data.corpus import corpus_of
from asd.data.manifest import parts_of
from asd.exit_status import exit_status, program
from asd.features.store import FeatureStore


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0, 2 for the user to mend, 130 if stopped."""
    parser = argparse.ArgumentParser("python -m asd.features", description=__doc__)
    parser.add_argument("command", choices=("build",))
    parser.add_argument("options", nargs="*", metavar="NAME=VALUE", help="as for asd.train")
    options = parser.parse_intermixed_args(arguments).options
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        return exit_status(lambda: _build(options))
    except KeyboardInterrupt:
        print("stopped; whole parts are kept, the same command goes on", file=sys.stderr)
        return 130


def _build(options: list[str]) -> None:
    config = plain(compose_config(options))
    root = Path(config["paths"]["cache"]).absolute() / "features"
    frontend, corpus = build(config["frontend"], "frontend"), corpus_of(config["data"])
    dtype, workers = config["features"]["dtype"], config["features"]["workers"]
    store = FeatureStore(root, frontend, dtype, corpus.channel, workers)
    splits = [(release, "train") for release in config["release"]["train"]]
    splits.append((config["data"]["test"], "test"))
    releases = list(dict.fromkeys(release for release, _ in splits))
    corpus.check(releases)
    manifest = corpus.manifest(releases, store.reader(splits))
    chosen = [manifest.select(release=release, split=split) for release, split in splits]
    store.build(*chosen)
    parts = [part for clips in chosen for part in parts_of(clips)]
    size = decimal(sum(store.part(part).values.nbytes for part in parts))  # compares checksums
    print(f"{store.folder}: {sum(map(len, parts)):,} clips, {size}, whole")


if __name__ == "__main__":
    program(main)
