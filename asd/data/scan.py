"""Reading each clip of a corpus, so that nothing bad turns up during training."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
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
Known = dict[Path, ClipFacts]
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
    known = _read_cache(file, corpus.folder, [clip.path for clip in clips])
    if new := [clip for clip in clips if clip.path not in known]:
        try:
            _read(corpus, new, known, problems)
        finally:  # an interrupted scan goes on where it stopped
            _write_cache(file, corpus.folder, known)
    if problems:
        _report(corpus, problems)
    names = {path: path.relative_to(corpus.folder).as_posix() for path in known}
    warn_of(corpus.folder, {names[path]: facts for path, facts in known.items()}, corpus.rate)
    rows = []
    for clip in (clip for clip in clips if clip.path in known):
        row = {**clip.part._asdict(), "id": clip.id, "label": clip.label, "path": names[clip.path]}
        facts = known[clip.path]
        rows.append({**row, "samples": facts.samples, "rate": facts.rate, "hash": facts.hash})
    return rows


def _read(corpus: Folder, clips: list[Clip], known: Known, problems: Problems) -> None:
    """Read these clips: adds to ``known`` or ``problems``."""

    def read(clip: Clip) -> None:
        try:
            known[clip.path] = Recording.read(clip.path, corpus.channel).facts
        except AsdError as error:
            problems[clip.path] = str(error)

    workers = min(8, cores())  # more would only wait for the disk
    in_threads(read, {"": clips}, workers, "reading and checking clips", lambda *_: None)


def _report(corpus: Folder, problems: Problems) -> None:
    lines = [f"  {problems[path]}" for path in sorted(problems)]
    if corpus.on_bad_clip == "skip":  # every name: a result without these is another result
        text = "data.on_bad_clip=skip leaves out %d bad clips of %s:\n%s"
        log.warning(text, len(problems), corpus.folder, "\n".join(lines))
        return
    raise AsdError(
        f"{corpus.folder}: {len(problems)} bad clips\n{first_lines(lines)}"
        "\nmend or remove them, or leave them out with data.on_bad_clip=skip"
    )


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


def _read_cache(file: Path | None, root: Path, paths: Iterable[Path]) -> Known:
    """What is known of those of these files that have not changed since."""
    known, entries = {}, _entries(file)
    for path in paths:
        with suppress(KeyError, OSError):  # not known, or reading it will say what is wrong
            entry, stat = entries[path.relative_to(root).as_posix()], path.stat()
            if (entry.size, entry.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
                known[path] = entry
    return known


def _write_cache(file: Path | None, root: Path, known: Known) -> None:
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
