"""A corpus that is a folder of recordings in DCASE 2020's layout, of any machine types."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from asd.data.audio import Channel, check_channel
from asd.data.evaluation_labels import read_labels
from asd.data.manifest import RELEASES, SPLITS, Manifest, sorted_manifest
from asd.data.scan import ON_BAD_CLIP, Clip, Problem, inspect_clips, list_clips, list_folder
from asd.errors import AsdError

log = logging.getLogger(__name__)

LABEL_LIST = "eval_data_list.csv"
NEEDED_SPLIT = {"development": "train", "additional": "train", "evaluation": "test"}
LAYOUT = "<root>/<machine>/{train,test} or <root>/<release>/<machine>/{train,test}"

Ids = Sequence[str | int]


@dataclass(frozen=True)
class Folder:
    """Recordings in ``<root>/<machine>/{train,test}`` or ``<root>/<release>/<machine>/...``.

    In the first layout all clips are of the release "development"; in the second the releases are
    the folders development, additional and evaluation, whichever are there. Clips are named
    ``asd.data.scan.NAMES``.
    """

    root: Path | str | None = None
    machines: Sequence[str] | str | None = None  # machine types; None: all that are found
    ids: Ids | Mapping[str, Ids] | str | int | None = None  # of all machines, or machine -> IDs
    rate: int = 16000  # Hz; clips at another rate are resampled
    channel: Channel = None  # of clips with several channels
    on_bad_clip: str = "error"
    cache: Path | str | None = None
    workers: int | None = None

    name = "folder"

    def __post_init__(self) -> None:
        if self.rate < 1:
            raise AsdError(f"data.rate={self.rate}: must be at least 1 Hz")
        check_channel(self.channel)
        if self.on_bad_clip not in ON_BAD_CLIP:
            choices = " or ".join(ON_BAD_CLIP)
            raise AsdError(f"data.on_bad_clip={self.on_bad_clip}: must be {choices}")
        if self.workers is not None and self.workers < 1:
            raise AsdError(
                f"data.workers={self.workers}: must be at least 1, or null for all cores"
            )
        for option in ("machines", "ids"):
            value = getattr(self, option)
            if isinstance(value, Sequence | Mapping) and len(value) == 0:
                raise AsdError(f"data.{option}={value!r}: name at least one, or null for all")

    @property
    def simulated(self) -> bool:
        """False: these are recordings."""
        return False

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

    def manifest(self, releases: list[str]) -> Manifest:
        """All clips of these releases, every file read and checked once.

        Raises:
            AsdError: as ``asd.data.corpus.Corpus.manifest``.
        """
        root = self.folder
        clips, problems = self._list(releases)
        clips = label_clips(root, clips)
        rows = inspect_clips(
            root,
            clips,
            problems,
            rate=self.rate,
            channel=self.channel,
            on_bad_clip=self.on_bad_clip,
            cache=None if self.cache is None else Path(self.cache),
            workers=self.workers,
        )
        manifest = sorted_manifest(root, rows)
        clips_left = manifest.clips[["release", "machine", "split"]]
        self._refuse_empty(releases, set(clips_left.itertuples(index=False, name=None)))
        return manifest

    # What another corpus of the same layout may say differently.

    def _how_to_get(self) -> str:
        """The end of the message about a folder that is not there."""
        return f"give the folder of the recordings, data.root=DIR ({LAYOUT})"

    def _expected_machines(self) -> list[str] | None:
        """The machine types that must be there, or None for all that are found."""
        if self.machines is None:
            return None
        return [self.machines] if isinstance(self.machines, str) else list(self.machines)

    def _flat_releases(self) -> tuple[str, ...]:
        """The releases that ``<root>/<machine>`` may hold."""
        return ("development",)

    def _flat_release(self, clip: Clip) -> str:
        """The release of a clip in ``<root>/<machine>``."""
        return "development"

    def _verify(self, releases: list[str], clips: list[Clip], problems: list[Problem]) -> None:
        """Compare the clips listed with what is known of the corpus, before any is read."""

    # Finding the clips.

    def _places(self, releases: list[str]) -> list[tuple[str, str, str, Path]]:
        """Folders of clips: (release, machine, split, path); release "" if the clips decide it."""
        unknown = [release for release in releases if release not in RELEASES]
        if unknown or not releases:
            raise AsdError(f"releases {releases}: must be of {', '.join(RELEASES)}")
        root = self.folder
        if not root.is_dir():
            raise AsdError(f"{root}: no such folder: {self._how_to_get()}")
        folders = _subfolders(root)
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
                f"expected {root / absent[0]}/<machine>/{{train,test}}; {self._how_to_get()}"
            )
        if present:
            return [place for r in releases for place in self._machine_places(root / r, r)]
        return self._machine_places(root, "" if len(self._flat_releases()) > 1 else "development")

    def _machine_places(self, folder: Path, release: str) -> list[tuple[str, str, str, Path]]:
        found = _machine_folders(folder)
        expected = self._expected_machines()
        absent = [machine for machine in expected or [] if machine not in found]
        if absent:
            raise AsdError(
                f"{folder}: machine types not there: {', '.join(absent)} "
                f"(found: {', '.join(found) or 'none'}): choose with data.machines=[...]; "
                + self._how_to_get()
            )
        if not found:
            raise AsdError(
                f"{folder}: no machine type there, that is no <machine>/train or <machine>/test: "
                + self._how_to_get()
            )
        places = []
        for machine in expected or found:
            splits = [split for split in SPLITS if (folder / machine / split).is_dir()]
            needed = NEEDED_SPLIT.get(release)
            if needed and needed not in splits:
                raise AsdError(
                    f"{folder / machine / needed}: no such folder: the {release} release needs it; "
                    "put the clips there, or leave the machine type out with data.machines=[...]"
                )
            places += [(release, machine, split, folder / machine / split) for split in splits]
        return places

    def _list(self, releases: list[str]) -> tuple[list[Clip], list[Problem]]:
        """Clips of the releases and IDs asked for, by name, and files that are none."""
        clips: list[Clip] = []
        problems: list[Problem] = []
        for release, machine, split, path in self._places(releases):
            more, bad = list_clips(path, release, machine, split)
            clips += more if release else [replace(c, release=self._flat_release(c)) for c in more]
            problems += bad
        clips = self._choose_ids([clip for clip in clips if clip.release in releases])
        self._verify(releases, clips, problems)
        if not problems:  # otherwise the report of those says more
            self._refuse_empty(releases, {(c.release, c.machine, c.split) for c in clips})
        return clips, problems

    def _refuse_empty(self, releases: list[str], filled: set[tuple[str, str, str]]) -> None:
        """Every machine type needs clips in the split that the release is for."""
        places = self._places(releases)
        for release in releases:
            split = NEEDED_SPLIT[release]
            machines = {machine for place, machine, _, _ in places if place in ("", release)}
            empty = sorted(m for m in machines if (release, m, split) not in filled)
            if empty:
                chosen = "" if self.ids is None else f" of data.ids={self.ids}"
                raise AsdError(
                    f"{self.folder}: no {split} clips{chosen} in release {release}, machine type "
                    f"{', '.join(empty)}: put them there, or choose others with data.machines=[...]"
                )

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
        found: dict[str, set[str]] = {}
        for clip in clips:
            found.setdefault(clip.machine, set()).add(clip.id)
        everywhere: set[str] = set().union(*found.values())
        lines = "; ".join(f"{m}: {', '.join(sorted(ids))}" for m, ids in sorted(found.items()))
        if isinstance(self.ids, Mapping):
            strangers = sorted(set(self.ids) - set(found))
            if strangers:
                raise AsdError(
                    f"data.ids names machine types that are not there: {', '.join(strangers)} "
                    f"(found: {', '.join(sorted(found))})"
                )
        for machine, ids in found.items():
            there = ids if isinstance(self.ids, Mapping) else everywhere
            absent = sorted(set(self.wanted_ids(machine) or []) - there)
            if absent:
                raise AsdError(
                    f"data.ids: no clips in {self.folder} of ID {', '.join(absent)} "
                    f"(found: {lines})"
                )
        wanted = {machine: self.wanted_ids(machine) for machine in found}
        return [c for c in clips if (some := wanted[c.machine]) is None or c.id in some]


def label_clips(root: Path, clips: list[Clip]) -> list[Clip]:
    """Give clips named ``id_...`` the label of ``eval_data_list.csv``, where one is there.

    Raises:
        AsdError: the list cannot be read.
    """
    open_ones = [clip for clip in clips if clip.label == -1]
    if not open_ones:
        return clips
    labels: dict[tuple[str, str], int] = {}
    for path in (root / LABEL_LIST, root / "evaluation" / LABEL_LIST):
        if path.is_file():
            labels |= _labels(path)
    missing = sum((clip.machine, clip.path.name) not in labels for clip in open_ones)
    if missing:
        text = "%s: %d clips named id_... have no label in %s: they are scored but not judged"
        log.warning(text, root, missing, LABEL_LIST)
    return [
        replace(clip, label=labels.get((clip.machine, clip.path.name), -1))
        if clip.label == -1
        else clip
        for clip in clips
    ]


def _labels(path: Path) -> dict[tuple[str, str], int]:
    try:
        sections = read_labels(path)
    except (OSError, ValueError) as error:
        raise AsdError(f"{path}: cannot be used ({error}): mend it or fetch it again") from error
    return {(machine, name): n for machine, names in sections.items() for name, n in names.items()}


def _subfolders(folder: Path) -> list[str]:
    return [entry.name for entry in list_folder(folder) if entry.is_dir()]


def _machine_folders(folder: Path) -> list[str]:
    """Folders in this one that have train or test in them."""
    return [
        name
        for name in _subfolders(folder)
        if any((folder / name / split).is_dir() for split in SPLITS)
    ]
