"""Find the clips of a corpus and read each once, so that nothing bad turns up during training."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from asd.cores import cores
from asd.data.audio import EIGHT_BIT, Channel, ClipError, ClipFacts, inspect_clip, os_reason
from asd.data.manifest import content_hash
from asd.data.scan_cache import ScanCache, Scanned
from asd.errors import AsdError
from asd.progress import progress_bar

log = logging.getLogger(__name__)

NAMES = "{normal,anomaly}_id_<ID>_<digits>.wav, or id_<ID>_<digits>.wav without a label"
_NAME = re.compile(r"(?:(normal|anomaly)_)?id_([0-9A-Za-z-]+)_[0-9]+\.(?i:wav)")
_LABELS = {"normal": 0, "anomaly": 1, None: -1}
ON_BAD_CLIP = ("error", "skip")
SHOWN = 20  # names in a message before the rest is only counted


@dataclass(frozen=True)
class Clip:
    """A file whose name is understood."""

    release: str
    machine: str
    split: str
    id: str
    label: int  # 0 normal, 1 anomaly, -1 not known
    path: Path


@dataclass(frozen=True)
class Problem:
    """A file that cannot be used, and why."""

    path: Path
    reason: str


def list_folder(folder: Path) -> list[os.DirEntry[str]]:
    """Entries of a folder by name, without hidden ones (.DS_Store, ._name.wav).

    Raises:
        AsdError: the folder cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        raise AsdError(
            f"{folder}: cannot list this folder ({error.strerror or error}): "
            "check that it is there and that you may read it"
        ) from error


def parse_name(name: str) -> tuple[str, int] | None:
    """Machine ID and label of a clip's file name, or None if it does not fit ``NAMES``."""
    match = _NAME.fullmatch(name)
    return (match[2], _LABELS[match[1]]) if match else None


def list_clips(
    folder: Path, release: str, machine: str, split: str
) -> tuple[list[Clip], list[Problem]]:
    """The clips that lie in this folder, by name; no file is opened.

    Files that are not ``.wav`` are left alone. A ``.wav`` with another name than ``NAMES``, or one
    named an anomaly among the training clips, is a problem.

    Raises:
        AsdError: the folder cannot be listed.
    """
    clips: list[Clip] = []
    problems: list[Problem] = []
    for entry in list_folder(folder):
        if not entry.name.lower().endswith(".wav"):
            continue
        path, parsed = folder / entry.name, parse_name(entry.name)
        if parsed is None:
            problems.append(Problem(path, f"the name does not fit {NAMES}: rename it"))
        elif split == "train" and parsed[1] == 1:
            reason = "named an anomaly, but training clips must be normal: move it to test"
            problems.append(Problem(path, reason))
        else:
            clips.append(Clip(release, machine, split, *parsed, path))
    return clips, problems


def inspect_clips(
    root: Path,
    clips: list[Clip],
    problems: list[Problem],
    *,
    rate: int,
    channel: Channel = None,
    on_bad_clip: str = "error",
    cache: Path | None = None,
    workers: int | None = None,
) -> list[dict[str, object]]:
    """Read every clip once and give its row of the manifest (``asd.data.manifest.COLUMNS``).

    What was learnt of a file is kept under ``cache`` and used again while the file's size and time
    stamp stay the same.

    Args:
        root: the folder that the rows' paths are relative to.
        clips: the clips to read.
        problems: files that are already known not to be usable; reported with those found here.
        rate: the rate in Hz that clips will be resampled to; only for the warning about it.
        channel: as ``asd.data.audio.read_clip``.
        on_bad_clip: "error", or "skip" to go on without the bad files.
        cache: a folder, or None to read everything anew.
        workers: threads; None for one a core, 8 at most.

    Raises:
        AsdError: some files are bad (all of them are counted, the first named), or all are.
    """
    known = ScanCache(root, channel, cache)
    found: dict[Path, Scanned] = {}
    problems = list(problems)
    new: list[Path] = []
    for clip in clips:
        scanned = known.look_up(clip.path)
        if scanned is None:
            new.append(clip.path)
        else:
            found[clip.path] = scanned
    if new:
        try:
            for path, result in _read_all(root, new, channel, workers):
                if isinstance(result, ClipError):
                    problems.append(Problem(path, result.reason))
                else:
                    found[path] = result
        finally:  # an interrupted scan goes on where it stopped
            known.save(found)
    _report(root, problems, on_bad_clip)
    if clips and not found:
        raise AsdError(f"{root}: no usable clip is left; all {len(clips)} are bad")
    _warn(root, found, rate)
    return [_row(root, clip, found[clip.path]) for clip in clips if clip.path in found]


def _row(root: Path, clip: Clip, scanned: Scanned) -> dict[str, object]:
    return {
        "release": clip.release,
        "machine": clip.machine,
        "id": clip.id,
        "split": clip.split,
        "label": clip.label,
        "path": clip.path.relative_to(root).as_posix(),
        "samples": scanned.facts.samples,
        "rate": scanned.facts.rate,
        "hash": scanned.hash,
    }


def _read_all(
    root: Path, paths: list[Path], channel: Channel, workers: int | None
) -> Iterator[tuple[Path, Scanned | ClipError]]:
    def read(path: Path) -> Scanned | ClipError:
        try:
            return _scan_file(path, channel)
        except ClipError as error:
            return error

    with progress_bar("reading and checking clips", len(paths)) as advance:
        pool = ThreadPoolExecutor(workers or min(8, cores()))
        try:
            for path, result in zip(paths, pool.map(read, paths), strict=True):
                advance(1)
                yield path, result
        finally:
            pool.shutdown(cancel_futures=True)


def _scan_file(path: Path, channel: Channel) -> Scanned:
    try:
        stat = path.stat()  # before reading: a file that changes meanwhile is read again next time
        digest = content_hash(path.read_bytes())
    except OSError as error:
        raise ClipError(path, os_reason(error)) from error
    facts = inspect_clip(path, channel)
    return Scanned(stat.st_size, stat.st_mtime_ns, digest, facts)


def _names(root: Path, lines: Iterable[Path]) -> str:
    names = sorted(path.relative_to(root).as_posix() for path in lines)
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + rest


def _report(root: Path, problems: list[Problem], on_bad_clip: str) -> None:
    if not problems:
        return
    problems = sorted(problems, key=lambda problem: problem.path)
    lines = [f"  {p.path.relative_to(root).as_posix()}: {p.reason}" for p in problems]
    if on_bad_clip == "skip":  # every name: a result without these clips is another result
        log.warning(
            "data.on_bad_clip=skip leaves out %d bad clips of %s:\n%s",
            len(problems),
            root,
            "\n".join(lines),
        )
        return
    if len(lines) > SHOWN:
        lines = [*lines[:SHOWN], f"  and {len(lines) - SHOWN} more"]
    raise AsdError(
        f"{root}: {len(problems)} bad clips\n"
        + "\n".join(lines)
        + "\nmend or remove them, or leave them out with data.on_bad_clip=skip"
    )


def _warn(root: Path, found: dict[Path, Scanned], rate: int) -> None:
    rates = Counter(s.facts.rate for s in found.values() if s.facts.rate != rate)
    if rates:
        counts = ", ".join(f"{count} at {own} Hz" for own, count in sorted(rates.items()))
        text = "%s: %d of %d clips are resampled to data.rate=%d Hz: %s"
        log.warning(text, root, sum(rates.values()), len(found), rate, counts)
    kinds: dict[str, Callable[[ClipFacts], bool]] = {
        "are silent, every sample is zero": lambda facts: facts.silent,
        "have only 8 bits a sample": lambda facts: facts.subtype in EIGHT_BIT,
        "go beyond [-1, 1]; they are used as they are": lambda facts: facts.beyond,
    }
    for what, applies in kinds.items():
        paths = [path for path, scanned in found.items() if applies(scanned.facts)]
        if paths:
            log.warning("%s: %d clips %s: %s", root, len(paths), what, _names(root, paths))
