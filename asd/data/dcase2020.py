"""The recordings of DCASE 2020 Task 2, as they are published."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from asd.data.clip_files import Clip, Problems
from asd.data.dcase2020_facts import load_facts
from asd.data.folder import Folder
from asd.data.manifest import RELEASES
from asd.data.scan import first_lines
from asd.errors import AsdError

LABELS = {0: "normal", 1: "anomaly", -1: "without label"}


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
        present = Counter((*c.part, c.id, c.label) for c in clips)
        expected = self._expected_counts(releases)
        wrong = [
            f"  {machine} ID {machine_id}, {release} {split} {LABELS[label]}: "
            f"{present[key]} found, {expected[key]} expected"
            for key in sorted({*present, *expected})
            if present[key] != expected[key]
            for release, machine, split, machine_id, label in [key]
        ]
        if not wrong:
            return
        misnamed = [f"  {problem}" for problem in problems.values()]
        raise AsdError(
            f"{self.folder}: not the clips that are published\n"
            + first_lines(wrong + misnamed)
            + "\nfind out with `python -m asd.data.download --verify`, "
            "or use what is there with data.verify_counts=false"
        )

    def _expected_counts(self, releases: list[str]) -> Counter[tuple[str, str, str, str, int]]:
        """Clips by release, machine type, split, ID and the label that their names tell."""
        expected: Counter[tuple[str, str, str, str, int]] = Counter()
        for (release, machine, machine_id), counts in load_facts().counts.items():
            ids = self.wanted_ids(machine)
            if release not in releases or machine not in self._machines():
                continue
            if ids is not None and machine_id not in ids:
                continue
            expected[release, machine, "train", machine_id, 0] = counts.train
            if release == "evaluation":
                expected[release, machine, "test", machine_id, -1] = counts.test
            else:
                expected[release, machine, "test", machine_id, 0] = counts.test_normal
                expected[release, machine, "test", machine_id, 1] = counts.test_anomaly
        return expected
