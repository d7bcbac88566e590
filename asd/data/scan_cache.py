"""What earlier scans learnt of a corpus's files, so that the next one takes seconds."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from asd.data.audio import Channel, ClipFacts
from asd.files import replacing

log = logging.getLogger(__name__)

_CACHE_VERSION = 2


class ScanCache:
    """What earlier scans of this root learnt, in one JSON file."""

    def __init__(self, root: Path, channel: Channel, folder: Path | None) -> None:
        self.root = root
        key = f"{_CACHE_VERSION}|{root.resolve()}|{channel}".encode()
        name = hashlib.blake2b(key, digest_size=8).hexdigest()
        self.file = None if folder is None else folder / "scan" / f"{name}.json"
        self.entries = self._load()

    def _load(self) -> dict[str, ClipFacts]:
        if self.file is None or not self.file.exists():
            return {}
        try:
            raw = json.loads(self.file.read_text(encoding="utf-8"))
            return {path: ClipFacts(**entry) for path, entry in raw.items()}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            log.warning("%s: cannot be used (%s); the clips are read again", self.file, error)
            return {}

    def look_up(self, paths: Iterable[Path]) -> dict[Path, ClipFacts]:
        """What is known of those of these files that have not changed since."""
        known = {}
        for path in paths:
            entry = self.entries.get(path.relative_to(self.root).as_posix())
            try:
                stat = None if entry is None else path.stat()
            except OSError:
                continue  # reading it will say what is wrong
            if entry and stat and (entry.size, entry.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
                known[path] = entry
        return known

    def save(self, known: dict[Path, ClipFacts]) -> None:
        """Keep these too; a cache that cannot be written is only slow, so it is but a warning."""
        if self.file is None:
            return
        self.entries |= {p.relative_to(self.root).as_posix(): s for p, s in known.items()}
        text = json.dumps({path: asdict(entry) for path, entry in self.entries.items()})
        try:
            with replacing(self.file) as temporary:
                temporary.write_text(text, encoding="utf-8")
        except OSError as error:
            log.warning("%s: cannot write what was learnt of the clips (%s)", self.file, error)
