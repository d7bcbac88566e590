"""A corpus whose folders say what is normal: ``normal/`` and ``anomaly/``, as MIMII has them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from asd.data.clip_files import Clip, is_sound, list_folder
from asd.data.folder import LAYOUTS, Folder, Listing
from asd.data.manifest import Part, check_machine
from asd.data.split import split_normals
from asd.options import check_number, check_whole

LABEL_FOLDERS = {"normal": 0, "anomaly": 1, "abnormal": 1}
DEEPEST = 4  # levels below the root: above, machine, ID, label
ONLY_ID = "00"  # of a machine type whose IDs are not told apart
LAYOUT = "[[<above>/]<machine>/[<ID>/]]{normal,anomaly or abnormal}"


@dataclass(frozen=True)
class LabelFolders(Folder):
    """Sound files of any name in folders ``normal`` and ``anomaly`` (or ``abnormal``).

    Above these may be a folder a machine type, with one for each ID in it; folders ``id_...`` alone
    are IDs, and the root's name is that of a type without a folder. Types in folders of their own,
    such as MIMII's noise levels, are called after both (``6_dB_fan``, or ``quiet fan``).
    """

    name: str = field(kw_only=True)
    test_fraction: float  # as ``asd.data.split.split_normals`` takes it, and the seed
    split_seed: int

    layout = f"<root>/{LAYOUT}"
    how_to_get = f"give the folder of the recordings, data.root=DIR (DIR/{LAYOUT}; {LAYOUTS})"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("data.test_fraction", self.test_fraction, 0, 1)
        check_whole("data.split_seed", self.split_seed, 0)

    def _labelled(self, clips: list[Clip]) -> list[Clip]:
        return clips

    def _find(self, releases: list[str]) -> Listing:
        places = _label_folders(self.folder)
        clips = [clip for place in places for clip in self._clips_in(place)]
        known = {folder for place in places for folder in place.parents}
        return self._listing(clips, releases, LAYOUT)._replace(places=[self.folder], known=known)

    def _clips_in(self, place: Path) -> Iterable[Clip]:
        """The clips of a machine ID and label; the part has no split yet."""
        names = [self.folder.name, *place.relative_to(self.folder).parts[:-1]]
        machine_id = ONLY_ID
        if len(names) > 2 or names[-1].startswith("id_"):
            machine_id = names.pop().removeprefix("id_")
            check_machine(machine_id, place, "a machine ID")
        machine = names[-1]
        if len(names) > 2:
            machine = names[1] if machine in names[1] else f"{names[1]} {machine}"
        part, label = Part("development", machine, ""), LABEL_FOLDERS[place.name.lower()]
        return (Clip(part, machine_id, label, p) for p in list_folder(place) if is_sound(p))

    def _listing(self, clips: list[Clip], releases: list[str], looked_for: str) -> Listing:
        """Of these clips those of the machine types wanted, each in a split."""
        present = sorted({clip.part.machine for clip in clips})
        machines = self._choose_machines(present, self.folder, looked_for)
        for machine in machines:
            check_machine(machine, self.folder)
        needed = {Part(release, machine, "train") for release in releases for machine in machines}
        clips = [clip for clip in clips if clip.part.machine in machines]
        clips = split_normals(clips, self.folder, self.test_fraction, self.split_seed)
        return Listing(clips, {}, needed, [], set())


def _label_folders(root: Path) -> list[Path]:
    """Folders called after a label, at most ``DEEPEST`` levels down; links are followed."""
    levels = ("/".join("*" * depth) for depth in range(1, DEEPEST + 1))
    named = (p for level in levels for p in root.glob(level) if p.name.lower() in LABEL_FOLDERS)
    return sorted(p for p in named if p.is_dir() and "/." not in f"/{p.relative_to(root)}")
