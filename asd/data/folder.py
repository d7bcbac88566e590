"""A corpus that is a folder of recordings in DCASE 2020's layout, of any machine types."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from asd.data.audio import Channel
from asd.data.clip_files import (
    SUFFIXES,
    Clip,
    Problems,
    label_clips,
    list_clips,
    list_folder,
    unused_files,
)
from asd.data.manifest import (
    RELEASES,
    SPLITS,
    Manifest,
    Part,
    check_machine,
    parts_of,
    sorted_manifest,
)
from asd.data.scan import ON_BAD_CLIP, scan
from asd.errors import AsdError, first_lines, shown
from asd.options import check_choice, check_whole

log = logging.getLogger(__name__)

NEEDED_SPLIT = {"development": "train", "additional": "train", "evaluation": "test"}
LAYOUT = "<root>/<machine>/{train,test} or <root>/<release>/<machine>/{train,test}"
LAYOUTS = "layouts: data=folder, data=normal_anomaly, data=mimii, data=csv"
# How the README.txt of asd.data.simulation.build begins.
MARKER = b"SIMULATED"


class Listing(NamedTuple):
    """What lies in a corpus's folder, by name."""

    clips: list[Clip]  # those asked for
    problems: Problems  # files that are none
    needed: set[Part]  # parts that must have clips
    places: list[Path]  # folders that were looked through
    known: set[Path]  # all files in them that are clips or problems


@dataclass(frozen=True)
class Folder:
    """Recordings in ``<root>/<machine>/{train,test}`` or ``<root>/<release>/<machine>/...``.

    In the first layout all clips are of the release "development"; in the second the releases are
    the folders development, additional and evaluation, whichever are there. Clips are named
    ``asd.data.clip_files.NAMES``.
    """

    root: Path | str | None
    machines: Sequence[str] | str | None  # machine types; None: all that lie there
    ids: Sequence[str | int] | str | int | None  # machine IDs, of any type; None: all
    rate: int  # Hz; clips at another rate are resampled
    channel: Channel  # of clips with several channels
    on_bad_clip: str
    cache: Path | str | None

    name = "folder"
    layout = LAYOUT
    how_to_get = f"give the folder of the recordings, data.root=DIR ({LAYOUT}; {LAYOUTS})"

    def __post_init__(self) -> None:
        check_whole("data.rate", self.rate, 1)
        if self.channel not in (None, "mean"):
            check_whole("data.channel", self.channel, 0)
        check_choice("data.on_bad_clip", self.on_bad_clip, ON_BAD_CLIP)
        for option in ("machines", "ids"):
            value = getattr(self, option)
            if isinstance(value, Sequence) and len(value) == 0:
                raise AsdError(f"data.{option}={value!r}: name at least one, or null for all")

    @property
    def folder(self) -> Path:
        """The root as an absolute path.

        Raises:
            AsdError: no root is given, or its name is not UTF-8.
        """
        if self.root is None or not str(self.root):
            raise AsdError(f"data.root is not set: {self.how_to_get}")
        root = Path(self.root).expanduser().absolute()
        if shown(root) != str(root):
            raise AsdError(f"data.root={root}: the name is not UTF-8: rename it")
        return root

    def check(self, releases: list[str]) -> dict[str, int]:
        """As ``asd.data.corpus.Corpus.check``; machine types and IDs must be there, too."""
        clips = self._list(releases).clips
        return dict(Counter(clip.part.machine for clip in clips if clip.part.split == "train"))

    @property
    def simulated(self) -> bool:
        """Whether a simulated corpus's ``README.txt`` lies here, above, or where links lead."""
        here = [self.folder, *self.folder.glob("*"), *self.folder.glob("*/*")]
        folders = [path.resolve() for path in here if path.is_dir()]
        places = {place for folder in folders for place in (folder, *folder.parents[:2])}
        readmes = (place / "README.txt" for place in places)
        return any(p.is_file() and p.read_bytes().startswith(MARKER) for p in readmes)

    def is_there(self, releases: list[str]) -> bool:
        """True: recordings are not made here."""
        return True

    def manifest(self, releases: list[str]) -> Manifest:
        """All clips of these releases, every file read and checked.

        Raises:
            AsdError: as ``asd.data.corpus.Corpus.manifest``.
        """
        found = self._list(releases)
        unused = [path for place in found.places for path in unused_files(place, found.known)]
        if unused:
            lines = first_lines(f"  {shown(path.relative_to(self.folder))}" for path in unused)
            text = "%s: %d files are not used (used are %s files in %s):\n%s"
            log.warning(text, self.folder, len(unused), " ".join(SUFFIXES), self.layout, lines)
        rows = scan(self, label_clips(self.folder, found.clips), found.problems)
        manifest = sorted_manifest(self.folder, rows)
        self._refuse_empty(found.needed - {part.part() for part in parts_of(manifest)})
        return manifest

    # What another corpus may say differently: of the same layout, or of another.

    def _machines(self) -> list[str] | None:
        """The machine types that must be there, or None for all that are."""
        return _listed(self.machines)

    def _verify(self, releases: list[str], clips: list[Clip], problems: Problems) -> None:
        """Compare the clips listed with what is known of the corpus, before any is read."""

    def _find(self, releases: list[str]) -> Listing:
        """All clips of the machine types asked for, by name."""
        found = Listing([], {}, set(), [], set())
        for release, folder in self._layout(releases).items():
            present = _machine_folders(folder) if folder.is_dir() else []
            machines = self._choose_machines(present, folder, "<machine>/train or <machine>/test")
            found.places.extend([folder / m for m in machines] if self._machines() else [folder])
            for machine in machines:
                check_machine(machine, folder / machine)
                found.needed.add(Part(release, machine, NEEDED_SPLIT[release]))
                for split in SPLITS:
                    clips, bad = list_clips(folder / machine / split, Part(release, machine, split))
                    found.clips.extend(clips)
                    found.problems.update(bad)
        return found

    # Finding the clips.

    def _list(self, releases: list[str]) -> Listing:
        """Clips asked for, by name, and what else the folders hold."""
        for release in releases:
            check_choice("release", release, RELEASES)
        if not self.folder.is_dir():
            raise AsdError(f"{self.folder}: no such folder: {self.how_to_get}")
        found = self._find(releases)
        found.known.update(found.problems, (clip.path for clip in found.clips))
        clips = self._choose_ids([clip for clip in found.clips if clip.part.release in releases])
        self._verify(releases, clips, found.problems)
        if not found.problems:  # otherwise the report of those says more
            self._refuse_empty(found.needed - {clip.part for clip in clips})
        return found._replace(clips=clips)

    def _layout(self, releases: list[str]) -> dict[str, Path]:
        """The folders of machine types by release."""
        root = self.folder
        present = [release for release in RELEASES if (root / release).is_dir()]
        machines, splits = _machine_folders(root), [s for s in SPLITS if (root / s).is_dir()]
        if splits or (present and machines):
            raise AsdError(
                f"{root}: must be {LAYOUT}, but holds {', '.join(splits + present + machines)}: "
                f"keep one layout; data.root={root.parent} if this is one machine type's folder"
            )
        folders = {release: root / release for release in releases}
        return folders if present else folders | {"development": root}

    def _choose_machines(self, present: list[str], folder: Path, looked_for: str) -> list[str]:
        """The machine types wanted, of those present; the error says what else lies there."""
        machines = self._machines() or present
        absent = [machine for machine in machines if machine not in present]
        if absent or not machines:
            there = list_folder(folder)[:10] if folder.is_dir() else []
            found = present or [shown(path.name) for path in there]
            raise AsdError(
                f"{folder}: machine types not there, as {looked_for}: "
                f"{', '.join(absent) or 'any'} (found: {', '.join(found) or 'none'}): "
                f"choose with data.machines=[...]; {self.how_to_get}"
            )
        return machines

    def _refuse_empty(self, lacking: set[Part]) -> None:
        if lacking:
            release, _, split = min(lacking)
            machines = ", ".join(sorted(part.machine for part in lacking if part[0] == release))
            chosen = "" if self.ids is None else f" of data.ids={self.ids}"
            raise AsdError(
                f"{self.folder}: no {split} clips{chosen} in release {release}, machine type "
                f"{machines}: put them there, or choose others: data.machines=[...], release=first"
            )

    def _ids(self) -> list[str] | None:
        """The machine IDs asked for; None for all."""
        return _listed(self.ids)

    def _choose_ids(self, clips: list[Clip]) -> list[Clip]:
        ids = self._ids()
        if ids is None:
            return clips
        if absent := set(ids) - {clip.id for clip in clips}:  # of some machine type, if not of all
            present = sorted({f"{clip.part.machine} {clip.id}" for clip in clips})
            raise AsdError(
                f"data.ids: no clips in {self.folder} of ID {', '.join(sorted(absent))} "
                f"(found: {', '.join(present) or 'none'})"
            )
        return [clip for clip in clips if clip.id in ids]


def _listed(chosen: Sequence[str | int] | str | int | None) -> list[str] | None:
    """What is chosen; a number stands for two digits, as YAML reads 00 as 0. None: all."""
    if chosen is None:
        return None
    each = [chosen] if isinstance(chosen, str | int) else chosen
    return [f"{one:02d}" if isinstance(one, int) else str(one) for one in each]


def _machine_folders(folder: Path) -> list[str]:
    """Folders in this one that have train or test in them."""
    return [
        path.name
        for path in list_folder(folder)
        if any((path / split).is_dir() for split in SPLITS)
    ]
