"""``python -m asd.features``: build, list and prune the feature store."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from asd.cores import cores
from asd.errors import AsdError
from asd.features.store import FeatureStore, parts_of
from asd.features.survey import (
    DAMAGED,
    UNFINISHED,
    WHOLE,
    FoundFrontEnd,
    FoundPart,
    prune,
    survey,
)

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


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0, 2 for the user to mend, 130 if stopped."""
    given = _parser().parse_intermixed_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    overrides = [word for word in given.words if "=" in word]
    keys = [word for word in given.words if "=" not in word]
    try:
        config = _compose(overrides)
        root = Path(config["paths"]["cache"]).absolute() / "features"
        _refuse_strangers(given, keys)
        if given.command == "build":
            _build(config, root)
        elif given.command == "list":
            _list(root, given.quick)
        else:
            _prune(root, keys, given)
    except AsdError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; what is computed is kept, the same command goes on", file=sys.stderr)
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


def _refuse_strangers(given: argparse.Namespace, keys: list[str]) -> None:
    pruning = {
        "--all": given.all,
        "--damaged": given.damaged,
        "--older-than": given.older_than is not None,
        "--dry-run": given.dry_run,
        **dict.fromkeys(keys, True),
    }
    options = {"build": {}, "list": {"--quick": given.quick}, "prune": pruning}
    for command, words in options.items():
        for word, used in words.items():
            if used and command != given.command:
                raise AsdError(f"{word}: is for {command}, not for {given.command}")
    if given.command == "prune":
        choices = bool(keys) + given.all + given.damaged + (given.older_than is not None)
        if choices != 1:
            raise AsdError("prune: say what is to go: keys, --older-than, --damaged or --all")
        if given.older_than is not None and not given.older_than >= 0:
            raise AsdError(f"--older-than {given.older_than}: must be a number of days from 0")


def _compose(overrides: list[str]) -> dict[str, Any]:
    """The config of a run with these options.

    Raises:
        AsdError: an option is not there, or has a value that cannot be.
    """
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException

    from asd.composition import folder_of, plain, register_resolvers

    register_resolvers()
    try:
        with initialize_config_dir(str(folder_of("conf")), version_base="1.3"):
            cfg = compose("config", overrides)
    except HydraException as error:
        raise AsdError(str(error)) from error
    config: dict[str, Any] = plain(cfg)
    return config


def _build(config: dict[str, Any], root: Path) -> None:
    from asd.composition import build

    frontend = build(config["frontend"], "frontend")
    corpus = build({k: v for k, v in config["data"].items() if k != "test"}, "data")
    releases, test = config["release"]["train"], config["data"]["test"]
    wanted = list(dict.fromkeys([*releases, test]))
    features = config["features"]
    channel = getattr(corpus, "channel", None)
    store = FeatureStore(root, frontend, features["dtype"], channel, features["workers"])
    corpus.check(wanted)
    manifest = corpus.manifest(wanted)
    read = [
        manifest.select(release=releases, split="train"),
        manifest.select(release=test, split="test"),
    ]
    began = time.perf_counter()
    store.build(*read)
    clips, size = 0, 0
    for part in (part for whole in read for part in parts_of(whole)):
        found = store.part(part)  # compares checksums
        clips, size = clips + len(part), size + found.values.nbytes
    seconds = time.perf_counter() - began
    print(f"{store.folder}: {clips:,} clips, {_size(size)}, whole ({seconds:.1f} s)")


def _list(root: Path, quick: bool) -> None:
    found = _survey(root, quick)
    if not found:
        print(f"{root}: no features")
        return
    print(f"{root}: {_size(sum(p.bytes for f in found for p in f.parts))}")
    for frontend in found:
        settings = frontend.settings
        about = ["settings not known (settings.json cannot be read)"]
        kind = ""
        if settings is not None:
            kind = f"{settings.get('dtype')}, "
            about = [f"{k}={v}" for k, v in dict(settings.get("frontend", {})).items()]
            about += [f"channel={settings.get('channel')}", f"version={settings.get('version')}"]
        whole = [part for part in frontend.parts if part.state == WHOLE]
        print(f"\n{frontend.key}: {kind}{_totals(frontend.parts)}, {_state(frontend)}")
        print("  " + " ".join(about))
        for part in frontend.parts:
            if part not in whole:
                reason = f": {part.reason}" if part.reason else ""
                print(f"  {part.files.stem} is {part.state}{reason}")


def _prune(root: Path, keys: list[str], given: argparse.Namespace) -> None:
    found = _survey(root, quick=not given.damaged)
    missing = [key for key in keys if key not in [frontend.key for frontend in found]]
    if missing:
        there = ", ".join(frontend.key for frontend in found) or "nothing"
        raise AsdError(f"{missing[0]}: no such key in {root}; there is {there}")
    limit = time.time() - DAY * (given.older_than or 0)

    def chosen(frontend: FoundFrontEnd, part: FoundPart) -> bool:
        if given.all or frontend.key in keys:
            return True
        if given.damaged:
            return part.state == DAMAGED
        return given.older_than is not None and part.used < limit

    removed, busy = prune(found, chosen, given.dry_run)
    for part in removed:
        what = f"{part.files.folder.name}/{part.files.stem} ({part.state}, {_size(part.bytes)})"
        print(("would remove " if given.dry_run else "removed ") + what)
    for key in busy:
        print(f"left alone, for another process is computing there: {key}")
    verb = "would be freed" if given.dry_run else "freed"
    print(f"{_size(sum(part.bytes for part in removed))} {verb}")


def _survey(root: Path, quick: bool) -> list[FoundFrontEnd]:
    with ThreadPoolExecutor(cores()) as pool:
        return survey(root, None if quick else pool)


def _totals(parts: list[FoundPart]) -> str:
    clips, size = sum(part.clips for part in parts), sum(part.bytes for part in parts)
    used = max((part.used for part in parts), default=0.0)
    age = f", used {_ago(time.time() - used)}" if parts else ""
    return f"{clips:,} clips in {len(parts)} parts, {_size(size)}{age}"


def _state(frontend: FoundFrontEnd) -> str:
    counts = [
        f"{sum(part.state == state for part in frontend.parts)} {state}"
        for state in (DAMAGED, UNFINISHED)
        if any(part.state == state for part in frontend.parts)
    ]
    return ", ".join(counts) or (WHOLE if frontend.parts else "empty")


def _ago(seconds: float) -> str:
    for unit, length in (("days", DAY), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return "just now"


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.2f} GB"
