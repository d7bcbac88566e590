"""Reading each clip of a corpus once, so that nothing bad turns up during training."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from asd.cores import cores
from asd.data.audio import EIGHT_BIT, Channel, ClipFacts, Recording
from asd.data.clip_files import Clip, Problems
from asd.data.manifest import Part
from asd.data.threads import in_threads
from asd.errors import AsdError, first_lines
from asd.files import replacing

if TYPE_CHECKING:
    import numpy as np

    from asd.data.corpus import PartReader
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


def scan(
    corpus: Folder, clips: list[Clip], problems: Problems, reader: PartReader | None = None
) -> list[dict[str, object]]:
    """The clips' rows of the manifest (``asd.data.manifest.COLUMNS``); each file is read once.

    What was learnt of a file is kept under the corpus's ``cache`` and used again while the file's
    size and time stamp stay the same.

    Args:
        corpus: where the clips lie, and its options.
        clips: the clips to read.
        problems: files that are already known not to be usable; more are added.
        reader: takes the clips of those parts of which no file is known yet, and says which clips
            of its parts it cannot use.

    Raises:
        AsdError: some files are bad (all of them are counted, the first named), or all are,
            or the reader cannot compute a clip's features.
    """
    paths = [clip.path for clip in clips]
    file = _cache_file(corpus.cache, corpus.folder, corpus.channel)
    known = _read_cache(file, corpus.folder, paths)
    if len(known) < len(clips):
        with reader.computing() if reader else nullcontext():
            # Again: another process may have read them while this one waited.
            known = _read_cache(file, corpus.folder, paths)
            try:
                _read(corpus, clips, known, problems, reader)
            finally:  # an interrupted scan goes on where it stopped
                _write_cache(file, corpus.folder, known)
    for clip in clips if reader else []:  # those known from the cache, by another reader
        try:
            if clip.path in known and reader:
                reader.check(clip, known[clip.path])
        except AsdError as error:
            problems[clip.path] = str(error)
            del known[clip.path]
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


def _read(
    corpus: Folder, clips: list[Clip], known: Known, problems: Problems, reader: PartReader | None
) -> None:
    """Read what is not known yet: adds to ``known`` or ``problems``; the reader gets new parts."""
    new: dict[Part, list[Clip]] = {}
    for clip in sorted(clips, key=lambda clip: (clip.part, clip.path)):
        if clip.path not in known:
            new.setdefault(clip.part, []).append(clip)
    if not new:
        return
    sizes = Counter(clip.part for clip in clips)
    wanted = {p for p in new if len(new[p]) == sizes[p] and reader and reader.wants(p)}

    def stops() -> bool:
        """Whether the run will stop: then only what else is wrong is of interest."""
        return bool(problems) and corpus.on_bad_clip == "error"

    def read(clip: Clip) -> np.ndarray | None:
        try:
            recording = Recording.read(clip.path, corpus.channel)
            known[clip.path] = recording.facts
            if reader:
                reader.check(clip, recording.facts)
        except AsdError as error:
            problems[clip.path] = str(error)
            return None
        return reader.compute(recording) if reader and clip.part in wanted and not stops() else None

    def keep(part: Part, results: list[np.ndarray | None]) -> None:
        done = [(c, a) for c, a in zip(new[part], results, strict=True) if a is not None]
        if reader and done and not stops():
            reader.store(part, [known[clip.path].hash for clip, _ in done], [a for _, a in done])

    workers = cores() if wanted else min(8, cores())  # more would only wait for the disk
    label = "reading and checking clips" + (", computing features" if wanted else "")
    in_threads(read, new, workers, label, keep)


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
