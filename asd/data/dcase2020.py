"""The recordings of DCASE 2020 Task 2, as they are published."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from asd.data.clip_files import Clip, Problems
from asd.data.dcase2020_facts import ClipCounts, load_facts, wrong_counts
from asd.data.folder import Folder
from asd.data.manifest import RELEASES
from asd.errors import AsdError, first_lines


@dataclass(frozen=True)
class DCASE2020(Folder):
    """DCASE 2020 Task 2, in either layout of ``Folder``.

    In ``<root>/<machine>/...`` the release of a clip follows from its machine ID, as no ID is in
    two releases but for the additional training clips and the evaluation clips. All six machine
    types are expected unless ``machines`` chooses.
    """

    verify_counts: bool  # compare clips per machine type, ID and split with what is published

    name = "dcase2020"
    how_to_get = (
        "get it with `python -m asd.data.download`, say where it lies with data.root=DIR, "
        "or use simulated recordings with data=simulated (other recordings: data=folder)"
    )

    def _machines(self) -> list[str]:
        return super()._machines() or list(load_facts().machines)

    def _flat_release(self, clip: Clip) -> str:
        for release in RELEASES:
            counts = load_facts().counts.get((release, clip.part.machine, clip.id))
            if counts and (counts.train if clip.part.split == "train" else counts.test):
                return release
        return "development"  # not published: refused by the comparison of the counts

    def _verify(self, releases: list[str], clips: list[Clip], problems: Problems) -> None:
        if not self.verify_counts:
            return
        expected: ClipCounts = Counter()
        for machine in self._machines():
            ids = self.wanted_ids(machine)
            for release in releases:
                for key, number in load_facts().clips(release, machine).items():
                    if ids is None or key[3] in ids:
                        expected[key] = number
        wrong = wrong_counts(Counter((*c.part, c.id, c.label) for c in clips), expected)
        if not wrong:
            return
        raise AsdError(
            f"{self.folder}: not the clips that are published\n"
            + first_lines(f"  {line}" for line in [*wrong, *problems.values()])
            + "\nfind out with `python -m asd.data.download --verify`, "
            "or use what is there with data.verify_counts=false"
        )
