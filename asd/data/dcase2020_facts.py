"""What is known of the published DCASE 2020 Task 2 corpus: clips, clip lengths, files to fetch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

# Clips by release, machine type, split, machine ID and the label that their names tell (-1: none).
ClipCounts = Counter[tuple[str, str, str, str, int]]
LABELS = {0: "normal", 1: "anomaly", -1: "without label"}


@dataclass(frozen=True)
class Archive:
    """One published file: the zip of a machine type, or the list of labels (``machine`` None)."""

    release: str
    machine: str | None
    record: str
    file: str
    md5: str


@dataclass(frozen=True)
class Facts:
    """The corpus in numbers."""

    machines: tuple[str, ...]
    # Of each release, machine type and ID that exist: clips to train, normal and anomalous to test.
    counts: Mapping[tuple[str, str, str], tuple[int, int, int]]
    archives: tuple[Archive, ...]
    url_template: str  # with {record} and {file}

    def clips(self, release: str, machine: str) -> ClipCounts:
        """The clips of a machine type in a release; evaluation clips tell no label."""
        clips: ClipCounts = Counter()
        for (r, m, machine_id), (train, normal, anomaly) in self.counts.items():
            if (r, m) == (release, machine):
                clips[release, machine, "train", machine_id, 0] = train
                named = release != "evaluation"
                tests = {0: normal, 1: anomaly} if named else {-1: normal + anomaly}
                for label, number in tests.items():
                    clips[release, machine, "test", machine_id, label] = number
        return clips


def wrong_counts(present: ClipCounts, expected: ClipCounts) -> list[str]:
    """A line for each kind of clip of which too few or too many are there."""
    return [
        f"{machine} ID {machine_id}, {release} {split} {LABELS[label]}: "
        f"{present[key]} found, {expected[key]} expected"
        for key in sorted({*present, *expected})
        if present[key] != expected[key]
        for release, machine, split, machine_id, label in [key]
    ]


@cache
def load_facts() -> Facts:
    """The facts of ``dcase2020.yaml``, which lies beside this file."""
    import yaml

    raw = yaml.safe_load(files("asd.data").joinpath("dcase2020.yaml").read_text(encoding="utf-8"))
    archives = [
        Archive(release, machine, group["record"], **entry)
        for release, group in raw["archives"].items()
        for machine, entry in group["files"].items()
    ]
    counts = {
        (release, machine, machine_id): tuple(numbers)
        for release, machines in raw["counts"].items()
        for machine, ids in machines.items()
        for machine_id, numbers in ids.items()
    }
    return Facts(
        machines=tuple(raw["counts"]["development"]),
        counts=counts,
        archives=(*archives, Archive(machine=None, **raw["labels"])),
        url_template=raw["url_template"],
    )
