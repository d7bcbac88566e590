"""One published file: whether its content is there, whole, and bringing it there."""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pooch

from asd.data.clip_files import list_clips, parse_name
from asd.data.dcase2020_facts import Archive, ClipCounts, Facts, wrong_counts
from asd.data.download.fetch import fetch, say
from asd.data.manifest import SPLITS, Part
from asd.errors import AsdError, first_lines
from asd.progress import progress_bar


@dataclass(frozen=True)
class Delivery:
    """A published file and its place: ``<root>/<release>/<machine>``, or the list of labels."""

    archive: Archive
    facts: Facts
    root: Path

    @property
    def place(self) -> Path:
        """Where the content belongs: a machine's folder, or the list of labels."""
        return self.root / self.archive.release / (self.archive.machine or self.archive.file)

    def bring(self, base_url: str) -> None:
        """Fetch, check, unpack; nothing if the content is there already.

        Args:
            base_url: a template with {file} and {record}, or a folder of all files.

        Raises:
            AsdError: it cannot be fetched or unpacked, or is not what was published, as what lies
                in its place.
        """
        if self.place.exists():
            self._check(self.place, "move it away or delete it, and run again")
            say(f"{self.place}: complete, nothing to do")
            return
        archive, file = self.archive, self.root / "archives" / self.archive.file
        url = base_url if "{file}" in base_url else base_url.rstrip("/") + "/{file}"
        url = url.replace("{record}", archive.record).replace("{file}", archive.file)
        fetch(url, file, archive.md5)
        self.place.parent.mkdir(parents=True, exist_ok=True)
        if archive.machine:
            self._place_clips(file, archive.machine)
        else:
            file.replace(self.place)
        say(f"{self.place}: complete")

    def _place_clips(self, file: Path, machine: str) -> None:
        """Unpack beside the place, check, then rename: the place is whole or not there."""
        fresh = self.place.with_name(f".unpacking-{machine}")
        shutil.rmtree(fresh, ignore_errors=True)  # what a killed run left
        try:
            unpack(file, fresh, machine)
            self._check(fresh, f"nothing was placed, {file} stays for inspection")
            fresh.rename(self.place)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        file.unlink()

    def _check(self, there: Path, remedy: str) -> None:
        """Refuse a list of another MD5, or clips that are others by name or number."""
        archive, problems, present = self.archive, list[str](), ClipCounts()
        if archive.machine:
            for split in SPLITS:
                part = Part(archive.release, archive.machine, split)
                clips, misnamed = list_clips(there / split, part)
                problems += misnamed.values()
                present.update((*part, clip.id, clip.label) for clip in clips)
            problems += wrong_counts(present, self.facts.clips(archive.release, archive.machine))
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
