"""A corpus that a CSV file lists, clip by clip."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

from asd.data.clip_files import Clip
from asd.data.folder import Listing
from asd.data.label_folders import ONLY_ID, LabelFolders
from asd.data.manifest import Part, check_machine
from asd.errors import AsdError

TABLE_COLUMNS = ("path", "machine", "id", "split", "label")
_LABELS = {"normal": 0, "0": 0, "anomaly": 1, "abnormal": 1, "1": 1, "": -1, "-1": -1}


@dataclass(frozen=True)
class ClipTable(LabelFolders):
    """Clips that ``table``, a CSV file in UTF-8 with the columns ``TABLE_COLUMNS``, lists.

    ``path`` lies in ``root`` (null: the table's folder); ``id`` empty: "00"; ``split`` empty: drawn
    as in ``LabelFolders``; ``label`` empty: not known.
    """

    table: Path | str | None

    how_to_get = f"give a CSV file with the columns {', '.join(TABLE_COLUMNS)}: data.table=FILE"

    @property
    def folder(self) -> Path:
        """The root, or the table's folder, as an absolute path."""
        if self.table is None:
            raise AsdError(f"data.table is not set: {self.how_to_get}")
        return super().folder if self.root else Path(self.table).expanduser().absolute().parent

    def _find(self, releases: list[str]) -> Listing:
        try:
            with Path(str(self.table)).expanduser().open(encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file, restval="")
                rows = [(f"{self.table}: line {reader.line_num}", row) for row in reader]
        except (OSError, ValueError, csv.Error) as error:
            raise AsdError(f"{self.table}: cannot be read ({error}): {self.how_to_get}") from error
        columns = reader.fieldnames or ()
        if missing := [name for name in TABLE_COLUMNS if name not in columns]:
            raise AsdError(
                f"{self.table}: columns missing: {', '.join(missing)} (found: "
                f"{', '.join(columns) or 'none'}): {self.how_to_get}"
            )
        return self._listing([self._clip(*row) for row in rows], releases, "lines of the table")

    def _clip(self, line: str, row: dict[str, str]) -> Clip:
        path, machine, machine_id, split, label = (row[name].strip() for name in TABLE_COLUMNS)
        machine_id, label = machine_id.removeprefix("id_") or ONLY_ID, label.lower()
        check_machine(machine, line)
        check_machine(machine_id, line, "a machine ID")
        file = Path(os.path.normpath(self.folder / path))
        if not path or not file.is_relative_to(self.folder):
            raise AsdError(f"{line}: path {path!r} must lie in {self.folder}; or set data.root=DIR")
        if split not in ("", "train", "test") or label not in _LABELS:
            raise AsdError(
                f"{line}: split {split!r}, label {label!r}: must be train, test or empty, and "
                "normal, anomaly or empty"
            )
        if split == "train" and _LABELS[label] != 0:
            raise AsdError(f"{line}: {path}: training clips must be normal: make it a test clip")
        return Clip(Part("development", machine, split), machine_id, _LABELS[label], file)
