"""One published file: where it belongs, the room that it takes, and bringing it there."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asd.data.dcase2020_facts import Archive, Facts
from asd.data.download.fetch import fetch, say
from asd.data.download.published import clip_problems, expected_clips, label_problems
from asd.data.download.unpack import unpack
from asd.errors import AsdError
from asd.files import replacing

DISK_BLOCK = 4096  # bytes; a file takes whole blocks: one more than its samples need


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

    @property
    def file(self) -> Path:
        """Where the published file itself lies while it is needed."""
        return self.root / "archives" / self.archive.file

    def problems(self, machine_folder: Path | None = None) -> list[str]:
        """Every discrepancy between what lies in the place and what was published.

        Args:
            machine_folder: to look at instead of the place.
        """
        archive, facts = self.archive, self.facts
        if archive.machine is None:
            return label_problems(self.place, archive.md5)
        expected = expected_clips(facts, archive.release, archive.machine)
        samples = facts.samples[archive.machine]
        return clip_problems(machine_folder or self.place, expected, samples, facts.rate)

    def complete(self) -> bool:
        """Whether nothing is to be done; False where nothing lies in the place.

        Raises:
            AsdError: what lies there is not what was published.
        """
        if not self.place.exists():
            return False
        problems = self.problems()
        if problems:
            raise AsdError(
                f"{self.place} is not complete ({len(problems)} discrepancies; the first: "
                f"{problems[0]}). Move it away or delete it and run again; --verify lists them all."
            )
        say(f"{self.place}: complete, nothing to do")
        return True

    def bring(self, base_url: str, keep_archive: bool) -> None:
        """Fetch, check, unpack.

        Args:
            base_url: a template with {file} and {record}, or a folder of all files.
            keep_archive: leave the file where it was fetched to.

        Raises:
            AsdError: it cannot be fetched or unpacked, or is not what was published.
        """
        archive = self.archive
        url = base_url if "{file}" in base_url else base_url.rstrip("/") + "/{file}"
        url = url.replace("{record}", archive.record).replace("{file}", archive.file)
        fetch(url, self.file, archive.md5)
        if archive.machine is None:
            with replacing(self.place) as temporary:
                shutil.copyfile(self.file, temporary)
        else:
            self._place_clips(archive.machine)
        if not keep_archive:
            self.file.unlink()
        say(f"{self.place}: complete")

    def _place_clips(self, machine: str) -> None:
        """Unpack beside the place, check, then rename: the place is whole or not there."""
        fresh = self.place.with_name(f".unpacking-{machine}")
        try:
            _clear(fresh)  # what a killed run left
            unpack(self.file, fresh, machine, 2 * self.facts.samples[machine])
            problems = self.problems(fresh)
            if problems:
                raise AsdError(
                    f"{self.file}: the clips inside are not those published; nothing was placed, "
                    "the file stays for inspection:\n  " + "\n  ".join(problems)
                )
            fresh.rename(self.place)
        finally:
            _clear(fresh)

    def clips_bytes(self) -> int:
        """Space that the clips take on the disk."""
        archive = self.archive
        if archive.machine is None:
            return 0
        clips = expected_clips(self.facts, archive.release, archive.machine).values()
        return sum(clips) * (2 * self.facts.samples[archive.machine] + DISK_BLOCK)


def _clear(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def space_needed(deliveries: Sequence[Delivery], keep_archives: bool) -> int:
    """Most bytes taken at any time, beyond what lies there, if done one after another.

    An archive of unknown size is taken to be as large as its clips, which is more than it is.
    """
    taken = most = 0
    for delivery in deliveries:
        clips, file = delivery.clips_bytes(), delivery.file
        have = sum(path.stat().st_size for path in file.parent.glob(f"{file.name}*"))  # or a part
        lacking = max((delivery.archive.bytes or clips) - have, 0)
        most = max(most, taken + lacking + clips)
        taken += clips + (lacking if keep_archives else -have)
    return most
