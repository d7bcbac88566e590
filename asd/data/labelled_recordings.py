"""A corpus whose labels stand in folders' names, as MIMII has them, or in a CSV file."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from asd.data.clip_files import Clip, is_sound, list_folder
from asd.data.folder import LAYOUTS, Folder, Listing
from asd.data.manifest import Part, check_machine
from asd.data.split import drawn
from asd.errors import AsdError
from asd.options import check_number, check_whole

TABLE_COLUMNS = ("path", "machine", "id", "split", "label")
DEEPEST = 4  # levels below the root: above, machine, ID, label
LAYOUT = "[[<above>/]<machine>/[<ID>/]]{normal,anomaly or abnormal}"
_FOLDERS = {"normal": 0, "anomaly": 1, "abnormal": 1}
_LABELS = {**_FOLDERS, "0": 0, "1": 1, "": -1, "-1": -1}


@dataclass(frozen=True)
class LabelledRecordings(Folder):
    """Sound files of any name: in folders ``normal`` and ``anomaly``, or as a table lists them.

    Above these folders may be one a machine type, with one for each ID in it; folders ``id_...``
    alone are IDs, and the root's name is that of a type without a folder. Types in folders of their
    own, such as MIMII's noise levels, are called after both (``6_dB_fan``, or ``quiet fan``).
    """

    name: str = field(kw_only=True)
    table: str | None  # CSV file in the root, with TABLE_COLUMNS; see conf/data/csv.yaml
    test_fraction: float  # as ``split_normals`` takes it, and the seed
    split_seed: int

    layout = f"<root>/{LAYOUT}"
    how_to_get = (
        f"give the folder of the recordings, data.root=DIR: DIR/{LAYOUT}, or with data=csv "
        f"DIR/clips.csv with the columns {', '.join(TABLE_COLUMNS)} ({LAYOUTS})"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("data.test_fraction", self.test_fraction, 0, 1)
        check_whole("data.split_seed", self.split_seed, 0)

    def _find(self, releases: list[str]) -> Listing:
        clips = list(self._in_table(self.table) if self.table else self._in_folders())
        known = {folder for clip in clips for folder in clip.path.parents}
        present = sorted({clip.part.machine for clip in clips})
        machines = self._choose_machines(present, self.folder, self.table or LAYOUT)
        needed = {Part(release, machine, "train") for release in releases for machine in machines}
        clips = [clip for clip in clips if clip.part.machine in machines]
        clips = split_normals(clips, self.folder, self.test_fraction, self.split_seed)
        return Listing(clips, {}, needed, [] if self.table else [self.folder], known)

    def _in_folders(self) -> Iterable[Clip]:
        """The clips at most ``DEEPEST`` levels down; links are followed."""
        levels = ("/".join(["[!.]*"] * depth) for depth in range(1, DEEPEST + 1))
        for place in sorted(place for level in levels for place in self.folder.glob(level)):
            *names, label = [self.folder.name, *place.relative_to(self.folder).parts]
            if label.lower() not in _FOLDERS or not place.is_dir():
                continue
            machine_id = names.pop() if len(names) > 2 or names[-1].startswith("id_") else ""
            machine = names[-1]
            if len(names) > 2:
                machine = names[1] if machine in names[1] else f"{names[1]} {machine}"
            for path in filter(is_sound, list_folder(place)):
                yield _clip(str(place), path, machine, machine_id, "", label)

    def _in_table(self, table: str) -> Iterable[Clip]:
        """The clips that the table lists, below the root."""
        file = self.folder / table
        try:
            with file.open(encoding="utf-8-sig", newline="") as text:
                reader = csv.DictReader(text, restval="")
                rows = [(f"{file}: line {reader.line_num}", row) for row in reader]
            found = reader.fieldnames or ()
            if missing := [name for name in TABLE_COLUMNS if name not in found]:
                raise ValueError(
                    f"columns missing: {', '.join(missing)}; found: {', '.join(found)}"
                )
        except (OSError, ValueError, csv.Error) as error:
            raise AsdError(f"{file}: cannot be used ({error}): {self.how_to_get}") from error
        for line, row in rows:
            name, *others = (row[column].strip() for column in TABLE_COLUMNS)
            path = Path(os.path.normpath(self.folder / name))
            if not name or not path.is_relative_to(self.folder):
                raise AsdError(f"{line}: path {name!r} must lie in data.root={self.folder}")
            yield _clip(line, path, *others)


def split_normals(clips: Sequence[Clip], root: Path, fraction: float, seed: int) -> list[Clip]:
    """Give clips without a split one: normals train, all others are test clips.

    Of each machine ID with anomalies ``fraction`` of the normals (rounded half up; one stays) are
    test clips too, by seed and path relative to ``root``. Of an ID without, all train.
    """
    tests = {clip.path for clip in clips if clip.label != 0}
    undrawn = [clip for clip in clips if clip.label == 0 and not clip.part.split]
    for judged in {(clip.part.machine, clip.id) for clip in clips if clip.label == 1}:
        own = [clip.path for clip in undrawn if (clip.part.machine, clip.id) == judged]
        paths = [path.relative_to(root).as_posix() for path in own]
        tests |= {root / path for path in drawn({judged: paths}, fraction, seed)}
    splits = [clip.part.split or ("train", "test")[clip.path in tests] for clip in clips]
    parts = [clip.part._replace(split=split) for clip, split in zip(clips, splits, strict=True)]
    return [replace(clip, part=part) for clip, part in zip(clips, parts, strict=True)]


def _clip(where: str, path: Path, machine: str, machine_id: str, split: str, label: str) -> Clip:
    """A clip from words, of the release development; no split: it is to be drawn."""
    machine_id, number = machine_id.removeprefix("id_") or "00", _LABELS.get(label.lower())
    check_machine(machine, where)
    check_machine(machine_id, where, "a machine ID")
    if split not in ("", "train", "test") or number is None or (split == "train" and number != 0):
        raise AsdError(
            f"{where}: split {split!r}, label {label!r}: must be train (normal clips only), test "
            "or empty, and normal, anomaly or empty"
        )
    return Clip(Part("development", machine, split), machine_id, number, path)
