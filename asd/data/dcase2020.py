"""The recordings of DCASE 2020 Task 2, as they are published."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from asd.data.clip_files import Clip, Problems
from asd.data.dcase2020_facts import load_facts
from asd.data.folder import Folder
from asd.data.manifest import RELEASES
from asd.data.scan import SHOWN
from asd.errors import AsdError


@dataclass(frozen=True)
class DCASE2020(Folder):
    """DCASE 2020 Task 2, in either layout of ``Folder``.

    In ``<root>/<machine>/...`` the release of a clip follows from its machine ID, as no ID is in
    two releases but for the additional training clips and the evaluation clips. All six machine
    types are expected unless ``machines`` chooses.
    """

    verify_counts: bool  # compare clips per machine type, ID and split with what is published

    name = "dcase2020"

    def _how_to_get(self) -> str:
        return (
            "get it with `python -m asd.data.download`, say where it lies with data.root=DIR, "
            "or use simulated recordings with data=simulated"
        )

    def _expected_machines(self) -> list[str]:
        published = list(load_facts().machines)
        chosen = super()._expected_machines()
        strangers = sorted(set(chosen or ()) - set(published))
        if strangers and self.verify_counts:
            raise AsdError(
                f"data.machines: DCASE 2020 has no {', '.join(strangers)}; it has "
                f"{', '.join(published)} (other recordings: data=folder)"
            )
        return chosen or published

    def _flat_releases(self) -> tuple[str, ...]:
        return RELEASES

    def _flat_release(self, clip: Clip) -> str:
        for release in RELEASES:
            counts = load_facts().counts.get((release, clip.part.machine, clip.id))
            if counts and (counts.train if clip.part.split == "train" else counts.test):
                return release
        return "development"  # not published: refused by the comparison of the counts

    def _verify(self, releases: list[str], clips: list[Clip], problems: Problems) -> None:
        if not self.verify_counts:
            return
        present = Counter((c.part.release, c.part.machine, c.id, _kind(c)) for c in clips)
        expected = self._expected_counts(releases)
        wrong = [
            f"  {machine} ID {machine_id}, {release} {kind}: "
            f"{present[key]} found, {expected[key]} expected"
            for key in sorted({*present, *expected})
            if present[key] != expected[key]
            for release, machine, machine_id, kind in [key]
        ]
        if not wrong:
            return
        if len(wrong) > SHOWN:
            wrong = [*wrong[:SHOWN], f"  and {len(wrong) - SHOWN} more"]
        wrong += [f"  {path}: {reason}" for path, reason in list(problems.items())[:SHOWN]]
        raise AsdError(
            f"{self.folder}: not the clips that are published\n"
            + "\n".join(wrong)
            + "\nfind out with `python -m asd.data.download --verify`, "
            "or use what is there with data.verify_counts=false"
        )

    def _expected_counts(self, releases: list[str]) -> Counter[tuple[str, str, str, str]]:
        expected: Counter[tuple[str, str, str, str]] = Counter()
        machines = self._expected_machines()
        for (release, machine, machine_id), counts in load_facts().counts.items():
            wanted = self.wanted_ids(machine)
            if release not in releases or machine not in machines:
                continue
            if wanted is not None and machine_id not in wanted:
                continue
            key = (release, machine, machine_id)
            expected[*key, "train"] = counts.train
            if release == "evaluation":  # published without labels in the names
                expected[*key, "test"] = counts.test
            else:
                expected[*key, "test normal"] = counts.test_normal
                expected[*key, "test anomaly"] = counts.test_anomaly
        return expected


def _kind(clip: Clip) -> str:
    """What the published counts tell apart."""
    if clip.part.split == "train" or clip.part.release == "evaluation":
        return clip.part.split
    return f"test {'without label' if clip.label == -1 else ('normal', 'anomaly')[clip.label]}"
