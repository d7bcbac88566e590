"""Reading each clip of a corpus, so that nothing bad turns up during training."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from asd.cores import cores
from asd.data.audio import EIGHT_BIT, Channel, ClipFacts, Recording
from asd.data.clip_files import Clip, Problems
from asd.data.threads import in_threads
from asd.errors import AsdError, first_lines
from asd.files import replacing

if TYPE_CHECKING:
    from asd.data.folder import Folder

log = logging.getLogger(__name__)

ON_BAD_CLIP = ("error", "skip")
Known = dict[str, ClipFacts]
_CACHE_VERSION = 4

KINDS: dict[str, Callable[[ClipFacts], bool]] = {
    "are silent, every sample is zero": lambda facts: facts.peak == 0,
    "have only 8 bits a sample": lambda facts: facts.subtype in EIGHT_BIT,
    "go beyond [-1, 1]; they are used as they are": lambda facts: facts.peak > 1,
}


def scan(corpus: Folder, clips: list[Clip], problems: Problems) -> list[dict[str, object]]:
    """The clips' rows of the manifest (``asd.data.manifest.COLUMNS``); every file is read.

    What was learnt of a file is kept under the corpus's ``cache`` and used again while the file's
    size and time stamp stay the same.

    Args:
        corpus: where the clips lie, and its options.
        clips: the clips to read.
        problems: files that are already known not to be usable; more are added.

    Raises:
        AsdError: some files are bad (all of them are counted, the first named), or all are.
    """
    file = _cache_file(corpus.cache, corpus.folder, corpus.channel)
    names = {clip.path: clip.path.relative_to(corpus.folder).as_posix() for clip in clips}
    entries = _entries(file)
    known = {n: e for path, n in names.items() if (e := entries.get(n)) and _unchanged(path, e)}

    def read(path: Path) -> None:
        try:
            known[names[path]] = Recording.read(path, corpus.channel).facts
        except AsdError as error:
            problems[path] = str(error)

    if new := [path for path, name in names.items() if name not in known]:
        workers = min(8, cores())  # more would only wait for the disk
        try:
            in_threads(read, {"": new}, workers, "reading and checking clips", lambda *_: None)
        finally:  # an interrupted scan goes on where it stopped
            _write_cache(file, known)
    report_bad_clips(corpus.folder, problems, corpus.on_bad_clip)
    warn_of(corpus.folder, known, corpus.rate)
    rows = []
    for clip in clips:
        if facts := known.get(names[clip.path]):
            row = {**clip.part._asdict(), "id": clip.id, "label": clip.label}
            row |= {"path": names[clip.path], "samples": facts.samples}
            rows.append({**row, "rate": facts.rate, "hash": facts.hash})
    return rows


def report_bad_clips(where: Path, problems: Problems, on_bad_clip: str | None) -> None:
    """Say of each clip that cannot be used why, if there are any; ``on_bad_clip``: is that all?

    Raises:
        AsdError: it is not ``skip``; all clips are counted, the first named.
    """
    lines = [f"  {problems[path]}" for path in sorted(problems)]
    if lines and on_bad_clip != "skip":
        raise AsdError(
            f"{where}: {len(lines)} bad clips\n{first_lines(lines)}"
            "\nmend or remove them, or leave them out with data.on_bad_clip=skip"
        )
    if lines:  # every name: a result without these is another result
        text = "data.on_bad_clip=skip leaves out %d bad clips of %s:\n%s"
        log.warning(text, len(lines), where, "\n".join(lines))


def warn_of(where: Path | str, facts: Mapping[str, ClipFacts], rate: int) -> None:
    """Say what is odd about clips that can be used, of which these are the facts by name.

    They lie ``where``, or have that in common, and are resampled to ``rate`` in Hz.
    """
    rates = Counter(fact.rate for fact in facts.values() if fact.rate != rate)
    if rates:
        counts = ", ".join(f"{count} at {r} Hz" for r, count in sorted(rates.items()))
        text = "%s: %d of %d clips are resampled to %d Hz: %s"
        log.warning(text, where, rates.total(), len(facts), rate, counts)
    for what, applies in KINDS.items():
        names = sorted(name for name, fact in facts.items() if applies(fact))
        if names:
            text = "%s: %d clips %s:\n%s"
            log.warning(text, where, len(names), what, first_lines(f"  {name}" for name in names))


# What earlier scans learnt of a corpus's files, so that the next one takes seconds.


def _cache_file(folder: Path | str | None, root: Path, channel: Channel) -> Path | None:
    """Where what is learnt of the files under ``root`` is kept; None: nowhere."""
    key = f"{_CACHE_VERSION}|{root.resolve()}|{channel}".encode()
    name = hashlib.blake2b(key, digest_size=8).hexdigest()
    return None if folder is None else Path(folder) / "scan" / f"{name}.json"


def _entries(file: Path | None) -> dict[str, ClipFacts]:
    """What was learnt, by the names of files."""
    if file is None or not file.exists():
        return {}
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        return {path: ClipFacts(**entry) for path, entry in raw.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        log.warning("%s: cannot be used (%s); the clips are read again", file, error)
        return {}


def _unchanged(path: Path, entry: ClipFacts) -> bool:
    with suppress(OSError):  # reading it will say what is wrong
        stat = path.stat()
        return (entry.size, entry.mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    return False


def _write_cache(file: Path | None, known: Known) -> None:
    """Keep these too; a cache that cannot be written is only slow, so it is but a warning."""
    if file is None:
        return
    entries = _entries(file) | known  # another process may have learnt more
    try:
        with replacing(file) as temporary:
            text = json.dumps({name: asdict(entry) for name, entry in entries.items()})
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        log.warning("%s: cannot write what was learnt of the clips (%s)", file, error)
