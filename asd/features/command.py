"""``python -m asd.features``: build, list and prune the feature store."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.filesize import decimal

from asd.cores import cores
from asd.errors import AsdError
from asd.features.build import SETTINGS
from asd.features.lock import lock_of
from asd.features.part import PARTIAL, DamagedPartError, StoredPart
from asd.features.store import FeatureStore, parts_of
from asd.options import check_number

DAY = 86400.0

EPILOG = """\
NAME=VALUE are the options of asd.train, of which build needs those that choose clips and front end:
  build frontend=mel data=folder data.root=DIR release=full    what a run of them would read
  build +experiment=b
  list                                                         every checksum is compared
  prune gammatone-0123456789ab mel-0123456789ab --dry-run      keys as list shows them
  prune --older-than 30                                        not used for 30 days
  prune --damaged
The store is the folder features in paths.cache (default: cache). Whatever is removed is computed
again when a run needs it.
"""


@dataclass(frozen=True)
class ListedPart:
    """A part as it lies on disk; ``damage`` says what is wrong with it, "" if nothing."""

    file: Path
    clips: int
    bytes: int
    used: float  # when last, in seconds since 1970
    damage: str


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0, 2 for the user to mend, 130 if stopped."""
    options = _parser().parse_intermixed_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    keys = [word for word in options.words if "=" not in word]
    try:
        _check_words(options, keys)
        config = _compose([word for word in options.words if "=" in word])
        root = Path(config["paths"]["cache"]).absolute() / "features"
        if options.command == "build":
            _build(config, root)
        elif options.command == "list":
            _list(root, options.quick)
        else:
            _prune(root, keys, options)
    except AsdError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; whole parts are kept, the same command goes on", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m asd.features",
        description="Build, list or prune the feature store.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=("build", "list", "prune"))
    parser.add_argument("words", nargs="*", metavar="NAME=VALUE | KEY")
    parser.add_argument("--quick", action="store_true", help="list: do not read the features")
    parser.add_argument("--all", action="store_true", help="prune: everything")
    parser.add_argument("--damaged", action="store_true", help="prune: what is damaged")
    parser.add_argument(
        "--older-than", type=float, metavar="DAYS", help="prune: what was not used for so long"
    )
    parser.add_argument("--dry-run", action="store_true", help="prune: only say what would go")
    return parser


def _check_words(options: argparse.Namespace, keys: list[str]) -> None:
    flags = {"--all": options.all, "--damaged": options.damaged}
    flags["--older-than"] = options.older_than is not None
    choices = [flag for flag, used in flags.items() if used]
    strangers = [*keys, *choices, *["--dry-run"] * options.dry_run]
    if options.command != "prune" and strangers:
        raise AsdError(f"{strangers[0]}: is for prune, not for {options.command}")
    if options.command != "list" and options.quick:
        raise AsdError(f"--quick: is for list, not for {options.command}")
    if options.command == "prune" and len(choices) + bool(keys) != 1:
        raise AsdError("prune: say what is to go: keys, --older-than, --damaged or --all")
    if options.older_than is not None:
        check_number("--older-than", options.older_than, 0)


def _compose(overrides: list[str]) -> dict[str, Any]:
    """The config of a run with these options.

    Raises:
        AsdError: an option is not there, or has no value.
    """
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException

    from asd.composition import folder_of, plain, register_resolvers

    register_resolvers()
    try:
        with initialize_config_dir(str(folder_of("conf")), version_base="1.3"):
            config: dict[str, Any] = plain(compose("config", overrides))
    except HydraException as error:
        raise AsdError(str(error)) from error
    return config


def _build(config: dict[str, Any], root: Path) -> None:
    from asd.composition import build
    from asd.data.corpus import corpus_of

    frontend, corpus = build(config["frontend"], "frontend"), corpus_of(config["data"])
    dtype, workers = config["features"]["dtype"], config["features"]["workers"]
    store = FeatureStore(root, frontend, dtype, corpus.channel, workers)
    splits = [(release, "train") for release in config["release"]["train"]]
    splits.append((config["data"]["test"], "test"))
    releases = list(dict.fromkeys(release for release, _ in splits))
    corpus.check(releases)
    begin = time.perf_counter()
    manifest = corpus.manifest(releases, store.reader(splits))
    chosen = [manifest.select(release=release, split=split) for release, split in splits]
    store.build(*chosen)
    parts = [part for clips in chosen for part in parts_of(clips)]
    size = decimal(sum(store.part(part).values.nbytes for part in parts))  # compares checksums
    count, seconds = sum(len(part) for part in parts), time.perf_counter() - begin
    print(f"{store.folder}: {count:,} clips, {size}, whole ({seconds:.1f} s)")


def _folders(root: Path, quick: bool) -> dict[Path, list[ListedPart]]:
    """What lies in a store, by key; ``quick`` leaves the features unread."""
    folders = sorted(path for path in root.glob("*-" + 12 * "[0-9a-f]") if path.is_dir())
    with ThreadPoolExecutor(cores()) as pool:
        return {
            folder: list(pool.map(partial(_look, quick), sorted(_part_files(folder))))
            for folder in folders
        }


def _part_files(folder: Path) -> set[Path]:
    return {
        path.with_suffix(".npy") for end in ("npy", "json") for path in folder.glob(f"*-*.{end}")
    }


def _look(quick: bool, file: Path) -> ListedPart:
    size, used, clips = 0, 0.0, 0
    for path in (file, file.with_suffix(".json")):
        with suppress(FileNotFoundError):
            stat = path.stat()
            size, used = size + stat.st_size, max(used, stat.st_mtime)
    try:
        part = StoredPart.open(file)
        clips = len(part.record.frames)
        if not quick:
            part.read()
    except DamagedPartError as error:
        return ListedPart(file, clips, size, used, str(error))
    return ListedPart(file, clips, size, used, "")


def _list(root: Path, quick: bool) -> None:
    folders = _folders(root, quick)
    if not folders:
        print(f"{root}: no features")
    for folder, parts in folders.items():
        try:
            settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
            about = settings.pop("frontend") | settings
            words = " ".join(f"{name}={value}" for name, value in about.items())
        except (OSError, ValueError, AttributeError, TypeError, KeyError):
            words = f"settings not known ({SETTINGS} cannot be read)"
        days = (time.time() - max((part.used for part in parts), default=0.0)) / DAY
        used = "used today" if days < 1 else f"used {days:.0f} days ago"
        clips, size = sum(part.clips for part in parts), sum(part.bytes for part in parts)
        damaged = [part for part in parts if part.damage]
        state = f"{used}, {f'{len(damaged)} damaged' if damaged else 'whole'}" if parts else "empty"
        print(f"{folder.name}: {clips:,} clips in {len(parts)} parts, {decimal(size)}, {state}")
        print(f"  {words}")
        for part in damaged:
            print(f"  {part.file.stem} is damaged: {part.damage}")


def _prune(root: Path, keys: list[str], options: argparse.Namespace) -> None:
    folders = _folders(root, quick=not options.damaged)
    names = [folder.name for folder in folders]
    for key in keys:
        if key not in names:
            present = ", ".join(names) or "nothing"
            raise AsdError(f"{key}: no such key in {root}; there is {present}")
    limit, freed = time.time() - DAY * (options.older_than or 0), 0
    for folder, parts in folders.items():
        if keys and folder.name not in keys:
            continue
        chosen = parts
        if options.damaged:
            chosen = [part for part in parts if part.damage]
        elif options.older_than is not None:
            chosen = [part for part in parts if part.used < limit]
        if chosen or not parts:
            freed += _remove(folder, chosen, len(chosen) == len(parts), options.dry_run)
    print(f"{decimal(freed)} {'would be freed' if options.dry_run else 'freed'}")


def _remove(folder: Path, parts: list[ListedPart], everything: bool, dry_run: bool) -> int:
    """Remove these parts, and the folder if they are all; gives the bytes freed."""
    from filelock import Timeout

    try:
        with lock_of(folder).acquire(blocking=False):
            for part in parts:
                print(f"{'would remove' if dry_run else 'removed'} {folder.name}/{part.file.stem}")
                if not dry_run:  # the record first: without it nothing passes for whole
                    part.file.with_suffix(".json").unlink(missing_ok=True)
                    part.file.unlink(missing_ok=True)
            if everything and not dry_run:
                for path in (folder / SETTINGS, *folder.glob(f"*{PARTIAL}")):
                    path.unlink(missing_ok=True)
                folder.rmdir()
    except Timeout:
        print(f"left alone, for another process is computing there: {folder.name}")
        return 0
    except OSError as error:
        raise AsdError(f"{error.filename}: cannot be removed: {error.strerror}") from error
    return sum(part.bytes for part in parts)
