"""A corpus that is a folder of recordings in DCASE 2020's layout, of any machine types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from asd.data.audio import Channel, check_channel
from asd.data.clip_files import Clip, Problems, list_clips, list_folder
from asd.data.evaluation_labels import label_clips
from asd.data.manifest import RELEASES, SPLITS, Manifest, sorted_manifest
from asd.data.part_reader import Part, PartReader
from asd.data.scan import ON_BAD_CLIP, Scan
from asd.errors import AsdError
from asd.options import check_choice, check_whole

NEEDED_SPLIT = {"development": "train", "additional": "train", "evaluation": "test"}
LAYOUT = "<root>/<machine>/{train,test} or <root>/<release>/<machine>/{train,test}"

Ids = Sequence[str | int]


@dataclass(frozen=True)
class Folder:
    """Recordings in ``<root>/<machine>/{train,test}`` or ``<root>/<release>/<machine>/...``.

    In the first layout all clips are of the release "development"; in the second the releases are
    the folders development, additional and evaluation, whichever are there. Clips are named
    ``asd.data.clip_files.NAMES``.
    """

    root: Path | str | None
    machines: Sequence[str] | str | None  # machine types; None: all that lie there
    ids: Ids | Mapping[str, Ids] | str | int | None  # of all machines, or machine -> IDs
    rate: int  # Hz; clips at another rate are resampled
    channel: Channel  # of clips with several channels
    on_bad_clip: str
    cache: Path | str | None
    workers: int | None

    name = "folder"
    simulated = False

    def __post_init__(self) -> None:
        check_whole("data.rate", self.rate, 1)
        check_channel(self.channel)
        check_choice("data.on_bad_clip", self.on_bad_clip, ON_BAD_CLIP)
        if self.workers is not None:
            check_whole("data.workers", self.workers, 1)
        for option in ("machines", "ids"):
            value = getattr(self, option)
            if isinstance(value, Sequence | Mapping) and len(value) == 0:
                raise AsdError(f"data.{option}={value!r}: name at least one, or null for all")

    @property
    def folder(self) -> Path:
        """The root as an absolute path.

        Raises:
            AsdError: no root is given.
        """
        if self.root is None or not str(self.root):
            raise AsdError(
                f"data.root is not set: give the folder of the recordings, data.root=DIR ({LAYOUT})"
            )
        return Path(self.root).expanduser().absolute()

    def check(self, releases: list[str]) -> None:
        """Refuse folders, releases, machine types and IDs that are not there; no file is opened.

        Raises:
            AsdError: as ``asd.data.corpus.Corpus.check``.
        """
        self._list(releases)

    def is_there(self, releases: list[str]) -> bool:
        """True: recordings are not made here."""
        return True

    def manifest(self, releases: list[str], reader: PartReader | None = None) -> Manifest:
        """All clips of these releases, every file read and checked once.

        Raises:
            AsdError: as ``asd.data.corpus.Corpus.manifest``.
        """
        clips, problems, needed = self._list(releases)
        rows = Scan(self, reader).rows(label_clips(self.folder, clips), problems)
        manifest = sorted_manifest(self.folder, rows)
        names = manifest.clips[list(Part._fields)].itertuples(index=False, name=None)
        self._refuse_empty(needed, {Part(*name) for name in names})
        return manifest

    # What another corpus of the same layout may say differently.

    def _how_to_get(self) -> str:
        """The end of the message about a folder that is not there."""
        return f"give the folder of the recordings, data.root=DIR ({LAYOUT})"

    def _expected_machines(self) -> list[str] | None:
        """The machine types that must be there, or None for all that are."""
        if self.machines is None:
            return None
        return [self.machines] if isinstance(self.machines, str) else list(self.machines)

    def _flat_releases(self) -> tuple[str, ...]:
        """The releases that ``<root>/<machine>`` may hold."""
        return ("development",)

    def _flat_release(self, clip: Clip) -> str:
        """The release of a clip in ``<root>/<machine>``."""
        return "development"

    def _verify(self, releases: list[str], clips: list[Clip], problems: Problems) -> None:
        """Compare the clips listed with what is known of the corpus, before any is read."""

    # Finding the clips.

    def _list(self, releases: list[str]) -> tuple[list[Clip], Problems, set[Part]]:
        """Clips asked for, by name; files that are none; and the parts that need clips."""
        clips: list[Clip] = []
        problems: Problems = {}
        places = self._places(releases)
        for place, path in places:
            more, bad = list_clips(path, place)
            if not place.release:
                more = [
                    replace(c, part=place._replace(release=self._flat_release(c))) for c in more
                ]
            clips += more
            problems |= bad
        clips = self._choose_ids([clip for clip in clips if clip.part.release in releases])
        self._verify(releases, clips, problems)
        needed = {
            Part(release, place.machine, NEEDED_SPLIT[release])
            for release in releases
            for place, _ in places
            if place.release in ("", release)
        }
        if not problems:  # otherwise the report of those says more
            self._refuse_empty(needed, {clip.part for clip in clips})
        return clips, problems, needed

    def _refuse_empty(self, needed: set[Part], filled: set[Part]) -> None:
        if lacking := sorted(needed - filled):
            release, _, split = lacking[0]
            machines = ", ".join(part.machine for part in lacking if part.release == release)
            chosen = "" if self.ids is None else f" of data.ids={self.ids}"
            raise AsdError(
                f"{self.folder}: no {split} clips{chosen} in release {release}, machine type "
                f"{machines}: put them there, or choose others with data.machines=[...]"
            )

    def _places(self, releases: list[str]) -> list[tuple[Part, Path]]:
        """Folders of clips and what they hold; release "" if the clips decide it."""
        if not releases or any(release not in RELEASES for release in releases):
            raise AsdError(f"releases {releases}: must be of {', '.join(RELEASES)}")
        root, how = self.folder, self._how_to_get()
        if not root.is_dir():
            raise AsdError(f"{root}: no such folder: {how}")
        folders = [entry.name for entry in list_folder(root) if entry.is_dir()]
        if any(split in folders for split in SPLITS):
            raise AsdError(
                f"{root}: this is the folder of one machine type; data.root={root.parent} is needed"
            )
        present = [release for release in RELEASES if release in folders]
        flat = _machine_folders(root)
        if present and flat:
            raise AsdError(
                f"{root}: holds releases ({', '.join(present)}) and machine types beside them "
                f"({', '.join(flat)}): keep one layout, {LAYOUT}"
            )
        absent = [r for r in releases if r not in (present or self._flat_releases())]
        if absent and (present or flat):
            raise AsdError(
                f"{root}: release {', '.join(absent)} is not there (found: "
                f"{', '.join(present) or ', '.join(flat) + ' without a release folder'}): "
                f"expected {root / absent[0]}/<machine>/{{train,test}}; {how}"
            )
        if present:
            return [place for r in releases for place in self._machine_places(root / r, r)]
        return self._machine_places(root, "" if len(self._flat_releases()) > 1 else "development")

    def _machine_places(self, folder: Path, release: str) -> list[tuple[Part, Path]]:
        present = _machine_folders(folder)
        machines = self._expected_machines() or present
        if absent := [machine for machine in machines if machine not in present]:
            raise AsdError(
                f"{folder}: machine types not there: {', '.join(absent)} "
                f"(found: {', '.join(present) or 'none'}): choose with data.machines=[...]; "
                + self._how_to_get()
            )
        if not machines:
            raise AsdError(
                f"{folder}: no machine type there, that is no <machine>/train or <machine>/test: "
                + self._how_to_get()
            )
        needed = NEEDED_SPLIT.get(release)
        for machine in machines:
            if needed and not (folder / machine / needed).is_dir():
                raise AsdError(
                    f"{folder / machine / needed}: no such folder: the {release} release needs it; "
                    "put the clips there, or leave the machine type out with data.machines=[...]"
                )
        places = [Part(release, machine, split) for machine in machines for split in SPLITS]
        paths = [(place, folder / place.machine / place.split) for place in places]
        return [(place, path) for place, path in paths if path.is_dir()]

    def wanted_ids(self, machine: str) -> list[str] | None:
        """The machine IDs asked for of a machine type; None for all.

        A number stands for two digits: ``ids: [0, 2]`` are 00 and 02, as YAML reads 00 as 0.
        """
        ids = self.ids.get(machine) if isinstance(self.ids, Mapping) else self.ids
        if ids is None:
            return None
        each = [ids] if isinstance(ids, str | int) else ids
        return [f"{one:02d}" if isinstance(one, int) else str(one) for one in each]

    def _choose_ids(self, clips: list[Clip]) -> list[Clip]:
        if self.ids is None:
            return clips
        present: dict[str, set[str]] = {}
        for clip in clips:
            present.setdefault(clip.part.machine, set()).add(clip.id)
        by_machine = isinstance(self.ids, Mapping)
        strangers = sorted(set(self.ids) - set(present)) if isinstance(self.ids, Mapping) else []
        if strangers:
            raise AsdError(
                f"data.ids names machine types that are not there: {', '.join(strangers)} "
                f"(found: {', '.join(sorted(present))})"
            )
        everywhere: set[str] = set().union(*present.values())
        wanted = {machine: self.wanted_ids(machine) for machine in present}
        for machine, ids in present.items():
            absent = set(wanted[machine] or []) - (ids if by_machine else everywhere)
            if absent:
                lines = [f"{m}: {', '.join(sorted(some))}" for m, some in sorted(present.items())]
                raise AsdError(
                    f"data.ids: no clips in {self.folder} of ID {', '.join(sorted(absent))} "
                    f"(found: {'; '.join(lines)})"
                )
        return [c for c in clips if (ids_of := wanted[c.part.machine]) is None or c.id in ids_of]


def _machine_folders(folder: Path) -> list[str]:
    """Folders in this one that have train or test in them."""
    return [
        entry.name
        for entry in list_folder(folder)
        if any((folder / entry.name / split).is_dir() for split in SPLITS)
    ]
