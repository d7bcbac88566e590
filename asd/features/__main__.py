"""``python -m asd.features``: build, list and prune the feature store."""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout
from rich.filesize import decimal

from asd.composition import build, compose_config, plain
from asd.data.corpus import corpus_of
from asd.data.manifest import parts_of
from asd.errors import AsdError
from asd.exit_status import exit_status, program
from asd.features.store import FORMAT, KEY, SETTINGS, FeatureStore
from asd.options import check_number

DAY = 86400.0
EPILOG = """\
build NAME=VALUE...: compute what a run with these options of asd.train would read
list: what is stored (checksums are compared whenever a part is read)
prune KEY... (as list shows them) | --older-than DAYS | --all [--dry-run]
The store is the folder features in paths.cache. What is removed is computed again when needed.
"""


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0, 2 for the user to mend, 130 if stopped."""
    options = _options(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        return exit_status(lambda: _run(options))
    except KeyboardInterrupt:
        print("stopped; whole parts are kept, the same command goes on", file=sys.stderr)
        return 130


def _options(arguments: list[str] | None) -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m asd.features", epilog=EPILOG, formatter_class=raw)
    add = parser.add_argument
    add("command", choices=("build", "list", "prune"))
    add("words", nargs="*", metavar="NAME=VALUE | KEY", help="paths.cache=DIR: of all commands")
    add("--older-than", type=float, metavar="DAYS", help="not used for so long")
    add("--all", dest="older_than", action="store_const", const=0.0)
    add("--dry-run", action="store_true", help="only say what would go")
    options = parser.parse_intermixed_args(arguments)
    options.keys = [word for word in options.words if "=" not in word]
    choices = bool(options.keys) + (options.older_than is not None)
    if choices != (options.command == "prune") or (options.dry_run and not choices):
        parser.error("prune, and nothing else, takes one of KEY..., --older-than, --all")
    return options


def _run(options: argparse.Namespace) -> None:
    config = plain(compose_config([word for word in options.words if "=" in word]))
    root = Path(config["paths"]["cache"]).absolute() / "features"
    if options.command == "build":
        _build(config, root)
    elif options.command == "list":
        _list(root)
    else:
        _prune(root, options)


def _build(config: dict[str, Any], root: Path) -> None:
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


def _stored(root: Path) -> pd.DataFrame:
    """A row a part: key of its folder, its file, bytes, when it was last used."""
    stats = [(file, file.stat()) for file in sorted(root.glob(f"*-{KEY}/*-{KEY}.npy"))]
    rows = [(file.parent.name, file, s.st_size, s.st_mtime) for file, s in stats]
    return pd.DataFrame(rows, columns=["key", "part", "bytes", "used"])


def _list(root: Path) -> None:
    stored = _stored(root)
    for key, parts in stored.groupby("key"):
        settings = root / str(key) / SETTINGS
        text = settings.read_text(encoding="utf-8") if settings.exists() else "settings not known"
        used = f"used {(time.time() - parts['used'].max()) // DAY:.0f} days ago"
        old = "" if f'"format": {FORMAT},' in text else ", of another version of asd: prune it"
        print(f"{key}: {len(parts)} parts, {decimal(int(parts['bytes'].sum()))}, {used}{old}")
        print(text)
    if stored.empty:
        print(f"{root}: no features")


def _prune(root: Path, options: argparse.Namespace) -> None:
    stored = _stored(root)
    keys = stored["key"]
    if unknown := sorted(set(options.keys) - set(keys)):
        there = ", ".join(keys.unique()) or "nothing"
        raise AsdError(f"{unknown[0]}: no such key in {root}; there is {there}")
    if options.older_than is not None:
        check_number("--older-than", options.older_than, 0)
        chosen = stored[stored["used"] <= time.time() - DAY * options.older_than]
    else:
        chosen = stored[keys.isin(options.keys)]
    for key, parts in chosen.groupby("key"):
        state = "would be removed" if options.dry_run else _remove(root / str(key), parts["part"])
        print(f"{key}: {len(parts)} parts, {decimal(int(parts['bytes'].sum()))}, {state}")


def _remove(folder: Path, parts: Iterable[Path]) -> str:
    """Remove these parts, and the folder if nothing is left; says what became of them."""
    try:
        with FileLock(f"{folder}.lock", blocking=False):
            for part in parts:
                part.unlink(missing_ok=True)
            if not any(folder.glob(f"*-{KEY}.npy")):
                shutil.rmtree(folder)
    except Timeout:
        return "left alone, for another process is computing there"
    except OSError as error:
        raise AsdError(f"{error.filename}: cannot be removed: {error.strerror}") from error
    return "removed"


if __name__ == "__main__":
    program(main)
