"""What a download has to do: which files, from where, to where, and how much room they take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asd.data.dcase2020_facts import Archive, Facts
from asd.data.download.published import expected_clips
from asd.data.manifest import RELEASES

WAV_HEADER = 44  # bytes, of a WAV with no chunks beside format and samples
DISK_BLOCK = 4096  # bytes; a file takes whole blocks


@dataclass(frozen=True)
class Download:
    """What to have, where, and from where.

    ``<root>/<release>/<machine>/{train,test}/*.wav`` and ``<root>/evaluation/eval_data_list.csv``
    are the result; archives pass through ``<root>/archives``.
    """

    facts: Facts
    root: Path
    releases: tuple[str, ...]
    machines: tuple[str, ...]
    base_url: str
    keep_archives: bool = False

    @property
    def archives(self) -> list[Archive]:
        """The files of the releases and machine types chosen; the labels with any machine type."""
        return [
            archive
            for release in RELEASES
            for archive in self.facts.archives
            if release in self.releases
            and archive.release == release
            and archive.machine in (None, *self.machines)
        ]

    def url(self, archive: Archive) -> str:
        """``base_url`` may be a template with {file} and {record}, or a folder of all files."""
        template = self.base_url
        if "{file}" not in template:
            template = template.rstrip("/") + "/{file}"
        return template.replace("{record}", archive.record).replace("{file}", archive.file)

    def place(self, archive: Archive) -> Path:
        """Where the archive's content belongs: a machine's folder, or the list of labels."""
        return self.root / archive.release / (archive.machine or archive.file)

    def fetched(self, archive: Archive) -> Path:
        """Where the archive itself lies while it is needed."""
        return self.root / "archives" / archive.file

    def expected(self, archive: Archive) -> dict[str, int]:
        """Clips that the archive must hold; none for the labels."""
        if archive.machine is None:
            return {}
        return expected_clips(self.facts, archive.release, archive.machine)

    def unpacked_bytes(self, archive: Archive) -> int:
        """Space that the archive's clips take on the disk."""
        if archive.machine is None:
            return 0
        clip = WAV_HEADER + 2 * self.facts.samples[archive.machine]
        return sum(self.expected(archive).values()) * -(-clip // DISK_BLOCK) * DISK_BLOCK

    def space_needed(self, todo: Sequence[Archive]) -> int:
        """Most bytes taken at any time, beyond what lies there, if done one after another.

        An archive of unknown size is taken to be as large as its clips, which is more than it is.
        """
        taken = most = 0
        for archive in todo:
            clips = self.unpacked_bytes(archive)
            present = self.fetched(archive).parent.glob(
                f"{archive.file}*"
            )  # whole, or a part of it
            have = sum(path.stat().st_size for path in present)
            lacking = max((archive.bytes or clips) - have, 0)
            most = max(most, taken + lacking + clips)
            taken += clips + (lacking if self.keep_archives else -have)
        return most
