"""What earlier scans learnt of a corpus's files, so that the next one takes seconds."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from asd.data.audio import Channel, ClipFacts

log = logging.getLogger(__name__)

_CACHE_VERSION = 1


@dataclass(frozen=True)
class Scanned:
    """What is known of a file's content."""

    size: int  # bytes
    mtime_ns: int
    hash: str  # BLAKE2b of the file's bytes, 16 hex digits
    facts: ClipFacts


class ScanCache:
    """What earlier scans of this root learnt, in one JSON file."""

    def __init__(self, root: Path, channel: Channel, folder: Path | None) -> None:
        self.root = root
        key = f"{_CACHE_VERSION}|{root.resolve()}|{channel}".encode()
        name = hashlib.blake2b(key, digest_size=8).hexdigest()
        self.file = None if folder is None else folder / "scan" / f"{name}.json"
        self.entries = self._load()

    def _load(self) -> dict[str, Scanned]:
        if self.file is None or not self.file.exists():
            return {}
        try:
            raw = json.loads(self.file.read_text(encoding="utf-8"))
            return {
                path: Scanned(**{**entry, "facts": ClipFacts(**entry["facts"])})
                for path, entry in raw.items()
            }
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            log.warning("%s: cannot be used (%s); the clips are read again", self.file, error)
            return {}

    def look_up(self, path: Path) -> Scanned | None:
        """What is known of a file that has not changed since."""
        entry = self.entries.get(path.relative_to(self.root).as_posix())
        if entry is None:
            return None
        try:
            stat = path.stat()
        except OSError:
            return None  # reading it will say what is wrong
        same = (entry.size, entry.mtime_ns) == (stat.st_size, stat.st_mtime_ns)
        return entry if same else None

    def save(self, found: dict[Path, Scanned]) -> None:
        """Keep these too; a cache that cannot be written is only slow, so it is but a warning."""
        if self.file is None:
            return
        self.entries |= {p.relative_to(self.root).as_posix(): s for p, s in found.items()}
        text = json.dumps({path: asdict(entry) for path, entry in self.entries.items()})
        part = self.file.with_name(f"{self.file.name}.{os.getpid()}.part")
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(text, encoding="utf-8")
            part.replace(self.file)
        except OSError as error:
            log.warning("%s: cannot write what was learnt of the clips (%s)", self.file, error)
