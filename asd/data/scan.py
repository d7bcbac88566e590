"""Reading each clip of a corpus once, so that nothing bad turns up during training."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from asd.cores import cores
from asd.data.audio import EIGHT_BIT, LOSSY, ClipFacts, Recording
from asd.data.clip_files import Clip, Problems
from asd.data.manifest import Part
from asd.data.scan_cache import Known, cache_file, read_cache, write_cache
from asd.data.threads import in_threads
from asd.errors import AsdError, first_lines

if TYPE_CHECKING:
    import numpy as np

    from asd.data.corpus import PartReader
    from asd.data.folder import Folder

log = logging.getLogger(__name__)

ON_BAD_CLIP = ("error", "skip")

KINDS: dict[str, Callable[[ClipFacts], bool]] = {
    "are silent, every sample is zero": lambda facts: facts.peak == 0,
    "have only 8 bits a sample": lambda facts: facts.subtype in EIGHT_BIT,
    "are compressed with loss, which may take away what is to be heard": (
        lambda facts: facts.subtype in LOSSY
    ),
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
    file = cache_file(corpus.cache, corpus.folder, corpus.channel)
    known = read_cache(file, corpus.folder, paths)
    if len(known) < len(clips):
        with reader.computing() if reader else nullcontext():
            # Again: another process may have read them while this one waited.
            known = read_cache(file, corpus.folder, paths)
            try:
                _read(corpus, clips, known, problems, reader)
            finally:  # an interrupted scan goes on where it stopped
                write_cache(file, corpus.folder, known)
    for clip in clips if reader else []:  # those known from the cache, by another reader
        try:
            if clip.path in known and reader:
                reader.check(clip, known[clip.path])
        except AsdError as error:
            problems[clip.path] = str(error)
            del known[clip.path]
    if problems:
        _report(corpus, problems)
    if clips and not known:
        raise AsdError(f"{corpus.folder}: no usable clip is left; all {len(clips)} are bad")
    names = {path.relative_to(corpus.folder).as_posix(): facts for path, facts in known.items()}
    warn_of(corpus.folder, names, corpus.rate)
    return [_row(corpus.folder, clip, known[clip.path]) for clip in clips if clip.path in known]


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
    whole = [part for part in new if len(new[part]) == sizes[part]]
    wanted = {part for part in whole if reader and reader.wants(part)}

    def stops() -> bool:
        """Whether the run will stop: then only what else is wrong is of interest."""
        return bool(problems) and corpus.on_bad_clip == "error"

    def read(clip: Clip) -> np.ndarray | None:
        try:
            recording = Recording.read(clip.path, corpus.channel)
            if reader:
                reader.check(clip, recording.facts)
        except AsdError as error:
            problems[clip.path] = str(error)
            return None
        known[clip.path] = recording.facts
        if reader is None or clip.part not in wanted or stops():
            return None
        return reader.compute(recording)

    def keep(part: Part, results: list[np.ndarray | None]) -> None:
        if part not in wanted or reader is None or stops():
            return
        hashes = [known[clip.path].hash for clip in new[part] if clip.path in known]
        arrays = [array for array in results if array is not None]
        if arrays:
            reader.store(part, hashes, arrays)

    workers = reader.workers or cores() if reader and wanted else corpus.workers or min(8, cores())
    label = "reading and checking clips" + (", computing features" if wanted else "")
    in_threads(read, new, workers, label, keep)


def _row(root: Path, clip: Clip, facts: ClipFacts) -> dict[str, object]:
    path = clip.path.relative_to(root).as_posix()
    name = {**clip.part._asdict(), "id": clip.id, "label": clip.label, "path": path}
    return {**name, "samples": facts.samples, "rate": facts.rate, "hash": facts.hash}


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
    """Say what is odd about clips that can be used.

    Args:
        where: they lie, or what else they have in common.
        facts: of each, by name.
        rate: in Hz, to which they are resampled.
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
