"""The recordings of DCASE 2020 Task 2, as they are published."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from asd.data.clip_files import Clip, Problems
from asd.data.dcase2020_facts import ClipCounts, load_facts, wrong_counts
from asd.data.folder import Folder
from asd.errors import AsdError, first_lines


@dataclass(frozen=True)
class DCASE2020(Folder):
    """DCASE 2020 Task 2; all six machine types are expected unless ``machines`` chooses."""

    verify_counts: bool  # compare clips per machine type, ID and split with what is published

    name = "dcase2020"
    how_to_get = (
        "get it with `python -m asd.data.download`, say where it lies with data.root=DIR, "
        "or use simulated recordings with data=simulated (other recordings: data=folder)"
    )

    def _machines(self) -> list[str]:
        return super()._machines() or list(load_facts().machines)

    def _verify(self, releases: list[str], clips: list[Clip], problems: Problems) -> None:
        if not self.verify_counts:
            return
        ids, expected = self._ids(), ClipCounts()
        for release, machine in product(releases, self._machines()):
            clips_there = load_facts().clips(release, machine)
            expected.update({k: n for k, n in clips_there.items() if ids is None or k[3] in ids})
        if wrong := wrong_counts(ClipCounts((*c.part, c.id, c.label) for c in clips), expected):
            raise AsdError(
                f"{self.folder}: not the clips that are published\n"
                + first_lines(f"  {line}" for line in [*wrong, *problems.values()])
                + "\nfetch what is missing with `python -m asd.data.download`, "
                "or use what is there with data.verify_counts=false"
            )
