"""What earlier scans learnt of a corpus's files, so that the next one takes seconds."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from asd.data.audio import Channel, ClipFacts
from asd.files import replacing

log = logging.getLogger(__name__)

Known = dict[Path, ClipFacts]
_CACHE_VERSION = 3


def cache_file(folder: Path | str | None, root: Path, channel: Channel) -> Path | None:
    """Where what is learnt of the files under ``root`` is kept; None: nowhere."""
    key = f"{_CACHE_VERSION}|{root.resolve()}|{channel}".encode()
    name = hashlib.blake2b(key, digest_size=8).hexdigest()
    return None if folder is None else Path(folder) / "scan" / f"{name}.json"


def read_cache(file: Path | None, root: Path, paths: Iterable[Path]) -> Known:
    """What is known of those of these files that have not changed since."""
    known, entries = {}, _entries(file)
    for path in paths:
        with suppress(KeyError, OSError):  # not known, or reading it will say what is wrong
            entry, stat = entries[path.relative_to(root).as_posix()], path.stat()
            if (entry.size, entry.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
                known[path] = entry
    return known


def write_cache(file: Path | None, root: Path, known: Known) -> None:
    """Keep these too; a cache that cannot be written is only slow, so it is but a warning."""
    if file is None:
        return
    entries = _entries(file) | {p.relative_to(root).as_posix(): f for p, f in known.items()}
    text = json.dumps({path: asdict(entry) for path, entry in entries.items()})
    try:
        with replacing(file) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        log.warning("%s: cannot write what was learnt of the clips (%s)", file, error)


def _entries(file: Path | None) -> dict[str, ClipFacts]:
    if file is None or not file.exists():
        return {}
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        return {path: ClipFacts(**entry) for path, entry in raw.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        log.warning("%s: cannot be used (%s); the clips are read again", file, error)
        return {}
