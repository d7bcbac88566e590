"""Reading each clip of a corpus once, so that nothing bad turns up during training."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asd.cores import cores
from asd.data.audio import EIGHT_BIT, ClipError, ClipFacts, Recording
from asd.data.clip_files import Clip, Problems
from asd.data.part_reader import Part, PartReader
from asd.data.scan_cache import ScanCache
from asd.data.threads import in_threads
from asd.errors import AsdError

if TYPE_CHECKING:
    from asd.data.folder import Folder

log = logging.getLogger(__name__)

ON_BAD_CLIP = ("error", "skip")
Known = dict[Path, ClipFacts]
SHOWN = 20  # names in a message before the rest is only counted


class Scan:
    """Reads every clip of a folder once, as the corpus's options say.

    What was learnt of a file is kept under ``cache`` and used again while the file's size and time
    stamp stay the same.

    Args:
        corpus: where the clips lie, and its options.
        reader: takes the clips of those parts of which no file is known yet.
    """

    def __init__(self, corpus: Folder, reader: PartReader | None = None) -> None:
        self.corpus = corpus
        self.root = corpus.folder
        self.reader = reader

    def rows(self, clips: list[Clip], problems: Problems) -> list[dict[str, object]]:
        """The clips' rows of the manifest (``asd.data.manifest.COLUMNS``).

        Args:
            clips: the clips to read.
            problems: files that are already known not to be usable.

        Raises:
            AsdError: some files are bad (all of them are counted, the first named), or all are,
                or the reader refuses a clip.
        """
        known = self._cache().look_up(clip.path for clip in clips)
        if len(known) == len(clips):
            self._report(problems)
        elif self.reader is not None and self._choose(self.reader, clips, known, problems):
            with self.reader.begin():
                known = self._read(clips, problems, self.reader)
        else:
            known = self._read(clips, problems, None)
        if clips and not known:
            raise AsdError(f"{self.root}: no usable clip is left; all {len(clips)} are bad")
        self._warn(known)
        return [self._row(clip, known[clip.path]) for clip in clips if clip.path in known]

    def _cache(self) -> ScanCache:
        cache = self.corpus.cache
        return ScanCache(self.root, self.corpus.channel, None if cache is None else Path(cache))

    def _choose(
        self, reader: PartReader | None, clips: list[Clip], known: Known, problems: Problems
    ) -> set[Part]:
        """The parts that the reader takes: none of which a file is known, as it is not read."""
        if reader is None or (problems and self.corpus.on_bad_clip == "error"):
            return set()
        parts = Counter(clip.part for clip in clips)
        for clip in clips:
            if clip.path in known:
                parts.pop(clip.part, None)
        return set(reader.choose(parts))

    def _read(self, clips: list[Clip], problems: Problems, reader: PartReader | None) -> Known:
        """What is learnt of all usable clips; the reader gets those of whole new parts.

        Raises:
            AsdError: as ``rows``.
        """
        cache = self._cache()  # another process may have read them while this one waited
        known = cache.look_up(clip.path for clip in clips)
        new = sorted((c for c in clips if c.path not in known), key=lambda clip: clip.part)
        problems, refusal = dict(problems), None
        chosen = self._choose(reader, clips, known, problems)
        threads = reader.workers if reader and chosen else self.corpus.workers or min(8, cores())
        call, label = partial(self._read_clip, reader, chosen), "reading and checking clips"
        label += ", computing features" if chosen else ""
        try:
            with closing(in_threads(call, new, threads, label)) as results:
                for clip, (facts, values) in zip(new, results, strict=True):
                    if isinstance(facts, ClipError):
                        problems[clip.path] = facts.reason
                    else:
                        known[clip.path] = facts
                    if isinstance(values, AsdError):
                        refusal = refusal or values
                    elif reader and values is not None and clip.part in chosen:
                        reader.take(clip.part, known[clip.path].hash, values)
                    if refusal or (problems and self.corpus.on_bad_clip == "error"):
                        chosen.clear()  # the run stops: only what else is wrong is of interest
        finally:  # an interrupted scan goes on where it stopped
            cache.save(known)
        self._report(problems)
        if refusal is not None:
            raise refusal
        return known

    def _read_clip(
        self, reader: PartReader | None, chosen: set[Part], clip: Clip
    ) -> tuple[ClipFacts | ClipError, Any]:
        """What the file tells, and what the reader makes of it (or why it refuses it)."""
        try:
            recording = Recording.read(clip.path)
            facts = recording.facts(self.corpus.channel)
        except ClipError as error:
            return error, None
        if reader is None or clip.part not in chosen:
            return facts, None
        try:
            return facts, reader.compute(recording)
        except AsdError as error:
            return facts, error

    def _row(self, clip: Clip, facts: ClipFacts) -> dict[str, object]:
        path = clip.path.relative_to(self.root).as_posix()
        name = {**clip.part._asdict(), "id": clip.id, "label": clip.label, "path": path}
        return {**name, "samples": facts.samples, "rate": facts.rate, "hash": facts.hash}

    def _names(self, paths: Iterable[Path]) -> str:
        names = sorted(path.relative_to(self.root).as_posix() for path in paths)
        rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        return ", ".join(names[:SHOWN]) + rest

    def _report(self, problems: Problems) -> None:
        if not problems:
            return
        names = {path.relative_to(self.root).as_posix(): path for path in sorted(problems)}
        lines = [f"  {name}: {problems[path]}" for name, path in names.items()]
        if (
            self.corpus.on_bad_clip == "skip"
        ):  # every name: a result without these is another result
            text = "data.on_bad_clip=skip leaves out %d bad clips of %s:\n%s"
            log.warning(text, len(problems), self.root, "\n".join(lines))
            return
        if len(lines) > SHOWN:
            lines = [*lines[:SHOWN], f"  and {len(lines) - SHOWN} more"]
        raise AsdError(
            f"{self.root}: {len(problems)} bad clips\n"
            + "\n".join(lines)
            + "\nmend or remove them, or leave them out with data.on_bad_clip=skip"
        )

    def _warn(self, known: Known) -> None:
        rates = Counter(facts.rate for facts in known.values() if facts.rate != self.corpus.rate)
        if rates:
            counts = ", ".join(f"{count} at {rate} Hz" for rate, count in sorted(rates.items()))
            text = "%s: %d of %d clips are resampled to data.rate=%d Hz: %s"
            log.warning(text, self.root, sum(rates.values()), len(known), self.corpus.rate, counts)
        kinds: dict[str, Callable[[ClipFacts], bool]] = {
            "are silent, every sample is zero": lambda facts: facts.silent,
            "have only 8 bits a sample": lambda facts: facts.subtype in EIGHT_BIT,
            "go beyond [-1, 1]; they are used as they are": lambda facts: facts.beyond,
        }
        for what, applies in kinds.items():
            paths = [path for path, facts in known.items() if applies(facts)]
            if paths:
                names = self._names(paths)
                log.warning("%s: %d clips %s: %s", self.root, len(paths), what, names)
