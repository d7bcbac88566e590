"""One published file: whether its content is there, whole, and bringing it there."""

from __future__ import annotations

import shutil
import sys
import zipfile
from pathlib import Path

import pooch

from asd.data.clip_files import list_clips, parse_name
from asd.data.dcase2020_facts import Archive, ClipCounts, Facts, wrong_counts
from asd.data.download.fetch import fetch
from asd.data.manifest import SPLITS, Part
from asd.errors import AsdError, first_lines
from asd.progress import progress_bar


def deliver(archive: Archive, facts: Facts, root: Path, base_url: str) -> None:
    """Bring a file's content to ``<root>/<release>/<machine>``, if it is not there already.

    It is unpacked beside its place and checked, then renamed: it is whole or not there. The list of
    labels lies in the release's folder as it is.

    Args:
        archive: the published file.
        facts: of the corpus that it is part of.
        root: the corpus's folder.
        base_url: a template with {file} and {record}, or a folder of all files.

    Raises:
        AsdError: it cannot be fetched or unpacked, or is not what was published, as what lies in
            its place.
    """
    place = root / archive.release / (archive.machine or archive.file)
    if place.exists():
        _check(place, archive, facts, "move it away or delete it, and run again")
        print(f"{place}: complete, nothing to do", file=sys.stderr, flush=True)
        return
    url = base_url if "{file}" in base_url else base_url.rstrip("/") + "/{file}"
    url = url.replace("{record}", archive.record).replace("{file}", archive.file)
    fetch(url, file := root / "archives" / archive.file, archive.md5)
    fresh = place.with_name(f".unpacking-{place.name}")
    shutil.rmtree(fresh, ignore_errors=True)  # what a killed run left
    try:
        if archive.machine:
            unpack(file, fresh, archive.machine)
            _check(fresh, archive, facts, f"nothing was placed, {file} stays for inspection")
            fresh.rename(place)
            file.unlink()
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            file.replace(place)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    print(f"{place}: complete", file=sys.stderr, flush=True)


def _check(there: Path, archive: Archive, facts: Facts, remedy: str) -> None:
    """Refuse a list of another MD5, or clips that are others by name or number."""
    problems, present = list[str](), ClipCounts()
    if archive.machine:
        for split in SPLITS:
            part = Part(archive.release, archive.machine, split)
            clips, misnamed = list_clips(there / split, part)
            problems += misnamed.values()
            present.update((*part, clip.id, clip.label) for clip in clips)
        problems += wrong_counts(present, facts.clips(archive.release, archive.machine))
    elif pooch.file_hash(str(there), "md5") != archive.md5:
        problems = [f"MD5 is not {archive.md5}"]
    if problems:
        lines = first_lines(f"  {problem}" for problem in problems)
        raise AsdError(f"{there}: not what was published; {remedy}:\n{lines}")


def unpack(archive: Path, folder: Path, machine: str) -> None:
    """Write the clips of ``archive`` to ``folder/train`` and ``folder/test``, as plain files.

    Clips are entries ``[.../<machine>/]{train,test}/<clip name>.wav``; others are left out. No path
    of the archive is used as such: where a clip goes is put together from a split and a clip name,
    so that nothing is written elsewhere, whatever the archive says.

    Raises:
        AsdError: the archive is broken.
        OSError: the disk is full, an entry stands twice, and the like.
    """
    for split in SPLITS:
        (folder / split).mkdir(parents=True)
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            with progress_bar(f"unpacking {archive.name}", len(entries)) as advance:
                for entry in entries:
                    above, split, name = ["", "", *entry.filename.split("/")][-3:]
                    if above in ("", machine) and split in SPLITS and parse_name(name):
                        with opened.open(entry) as source, (folder / split / name).open("xb") as to:
                            shutil.copyfileobj(source, to)
                    advance(1)
    except zipfile.BadZipFile as error:
        raise AsdError(
            f"{archive}: cannot be unpacked ({error}); remove it and run again"
        ) from error
