"""One published file: whether its content is there, whole, and bringing it there."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pooch
import soundfile
from filelock import FileLock, Timeout
from rich.filesize import decimal

from asd.data.clip_files import list_clips
from asd.data.dcase2020_facts import Archive, ClipCounts, Facts, wrong_counts
from asd.data.download.fetch import fetch, say
from asd.data.download.unpack import unpack
from asd.data.evaluation_labels import read_labels
from asd.data.manifest import SPLITS, Part
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

    def problems(self) -> list[str]:
        """Every discrepancy between what lies in the place and what was published."""
        if not self.place.exists():
            return [f"{self.place}: missing"]
        machine = self.archive.machine
        return self._wrong_clips(self.place, machine) if machine else self._wrong_labels()

    def _wrong_clips(self, folder: Path, machine: str) -> list[str]:
        """Names are read and clips counted as the corpus does it; of each the header is read."""
        release = self.archive.release
        problems: list[str] = []
        present: ClipCounts = Counter()
        for split in SPLITS:
            clips, misnamed = list_clips(folder / split, Part(release, machine, split))
            problems += misnamed.values()
            for clip in clips:
                problems += _wrong_header(clip.path, self.facts.samples[machine], self.facts.rate)
                present[*clip.part, clip.id, clip.label] += 1
        wrong = wrong_counts(present, self.facts.clips(release, machine))
        return problems + [f"{folder}: {line}" for line in wrong]

    def _wrong_labels(self) -> list[str]:
        """The list must be the published one, and name the clips that lie beside it."""
        if pooch.file_hash(str(self.place), "md5") != self.archive.md5:
            return [f"{self.place}: MD5 is not {self.archive.md5}"]
        problems = []
        for machine, labels in read_labels(self.place).items():
            folder = self.place.with_name(machine) / "test"
            clips = {file.name for file in folder.glob("*.wav")}
            for name in sorted(clips ^ set(labels) if folder.is_dir() else ()):
                where = f"not in {self.place}" if name in clips else "missing"
                problems.append(f"{folder / name}: {where}")
        return problems

    def complete(self) -> bool:
        """Whether nothing is to be done; False where nothing lies in the place.

        Raises:
            AsdError: what lies there is not what was published.
        """
        if not self.place.exists():
            return False
        if problems := self.problems():
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
        if archive.machine:
            self._place_clips(archive.machine)
        else:
            with replacing(self.place) as temporary:
                shutil.copyfile(self.file, temporary)
        if not keep_archive:
            self.file.unlink()
        say(f"{self.place}: complete")

    def _place_clips(self, machine: str) -> None:
        """Unpack beside the place, check, then rename: the place is whole or not there."""
        fresh = self.place.with_name(f".unpacking-{machine}")
        shutil.rmtree(fresh, ignore_errors=True)  # what a killed run left
        try:
            unpack(self.file, fresh, machine)
            if problems := self._wrong_clips(fresh, machine):
                raise AsdError(
                    f"{self.file}: the clips inside are not those published; nothing was placed, "
                    "the file stays for inspection:\n  " + "\n  ".join(problems)
                )
            fresh.rename(self.place)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def _wrong_header(path: Path, samples: int, rate: int) -> list[str]:
    """libsndfile counts the samples that are really there, so that a cut file shows."""
    try:
        info = soundfile.info(str(path))
    except soundfile.LibsndfileError as error:
        return [f"{path}: cannot be read ({error.error_string})"]
    if (info.frames, info.samplerate, info.channels) == (samples, rate, 1):
        return []
    return [
        f"{path}: {info.frames} samples, {info.samplerate} Hz, {info.channels} channel(s); "
        f"{samples} samples, {rate} Hz, 1 channel expected"
    ]


def download(
    root: Path, deliveries: Sequence[Delivery], base_url: str, keep_archives: bool
) -> None:
    """Fetch, check and unpack what is not there yet; what is complete costs no request.

    Raises:
        AsdError: see the message; what was completed stays, and a partial file is resumed.
    """
    root.mkdir(parents=True, exist_ok=True)
    try:
        # The system lets go of the lock when the process ends.
        with FileLock(root / ".download.lock", timeout=0):
            todo = [delivery for delivery in deliveries if not delivery.complete()]
            _check_space(root, todo, keep_archives)
            for delivery in todo:
                delivery.bring(base_url, keep_archives)
            with suppress(OSError):  # not there, or not empty
                (root / "archives").rmdir()
    except Timeout as error:
        raise AsdError(
            f"--root {root}: another download is at work in this folder; wait for it or stop it"
        ) from error


def _check_space(root: Path, todo: Sequence[Delivery], keep_archives: bool) -> None:
    """All clips must fit, and all archives or the largest: they are done one after another.

    An archive of unknown size is taken to be as large as its clips, which is more than it is.
    """
    needed, archives, free = 0, [0], shutil.disk_usage(root).free
    for delivery in todo:
        archive, facts, clips = delivery.archive, delivery.facts, 0
        if archive.machine:
            number = facts.clips(archive.release, archive.machine).total()
            clips = number * (2 * facts.samples[archive.machine] + DISK_BLOCK)
        here = delivery.file.parent.glob(f"{archive.file}*")  # whole, or a part
        lacking = (archive.bytes or clips) - sum(path.stat().st_size for path in here)
        archives.append(max(lacking, 0))
        needed += clips
    needed += sum(archives) if keep_archives else max(archives)
    if needed > free:
        raise AsdError(
            f"--root {root}: {decimal(needed)} needed for archives and clips, "
            f"{decimal(free)} free. Free {decimal(needed - free)}, choose another --root, "
            "or fewer of --release and --machines."
        )
