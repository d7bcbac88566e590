"""Whether a folder of the DCASE 2020 corpus holds what was published: counts, headers, labels."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from asd.data.dcase2020_facts import Archive, Counts, Facts
from asd.data.evaluation_labels import read_labels

SPLIT_NAMES = ("train", "test")
MARKER = ".complete.json"
_CLIP = re.compile(r"((?:(?:normal|anomaly)_)?id_\d+)_\d{8}\.wav")


def clip_prefix(split: str, name: str) -> str | None:
    """The group that a clip is counted in, e.g. ``test/anomaly_id_00``; None if it is no clip."""
    match = _CLIP.fullmatch(name)
    return f"{split}/{match[1]}" if match and split in SPLIT_NAMES else None


def expected_clips(facts: Facts, release: str, machine: str) -> dict[str, int]:
    """Clips by ``clip_prefix``. Names of evaluation clips carry no label."""
    expected: dict[str, int] = {}
    for machine_id in facts.ids(release, machine):
        counts = facts.counts[release, machine, machine_id]
        expected[f"train/normal_id_{machine_id}"] = counts.train
        if release == "evaluation":
            expected[f"test/id_{machine_id}"] = counts.test
        else:
            expected[f"test/normal_id_{machine_id}"] = counts.test_normal
            expected[f"test/anomaly_id_{machine_id}"] = counts.test_anomaly
    return {prefix: number for prefix, number in expected.items() if number}


def count_problems(folder: Path, expected: Mapping[str, int]) -> list[str]:
    """Every way in which the clips in ``folder`` are not as many as expected."""
    if not folder.is_dir():
        return [f"{folder}: folder missing"]
    found: Counter[str] = Counter()
    problems = []
    for split in SPLIT_NAMES:
        for path in sorted((folder / split).glob("*")):
            if path.name.startswith("."):  # what file managers leave behind
                continue
            prefix = clip_prefix(split, path.name)
            if prefix is None or not path.is_file():
                problems.append(f"{path}: not a clip of this corpus")
            else:
                found[prefix] += 1
    for prefix in sorted({*found, *expected}):
        if found[prefix] != expected.get(prefix, 0):
            problems.append(
                f"{folder}/{prefix}_*.wav: {found[prefix]} clips, "
                f"{expected.get(prefix, 0)} expected"
            )
    return problems


def header_problems(folder: Path, samples: int, rate: int) -> list[str]:
    """Every WAV whose header cannot be read, or that is not ``samples`` of mono at ``rate`` Hz.

    libsndfile counts the samples that the file really holds, so a cut file shows.
    """
    import soundfile

    problems = []
    for split in SPLIT_NAMES:
        for path in sorted((folder / split).glob("*.wav")):
            try:
                info = soundfile.info(str(path))
            except soundfile.LibsndfileError as error:
                problems.append(f"{path}: cannot be read ({error.error_string})")
                continue
            found = (info.frames, info.samplerate, info.channels)
            if found != (samples, rate, 1):
                problems.append(
                    f"{path}: {info.frames} samples, {info.samplerate} Hz, {info.channels} "
                    f"channel(s); {samples} samples, {rate} Hz, 1 channel expected"
                )
    return problems


def label_problems(path: Path, facts: Facts, machines: Mapping[str, Path]) -> list[str]:
    """Every way in which the list of labels is not the published one, or does not fit the clips.

    Args:
        machines: the folder of each machine type to compare with; only folders that exist count.
    """
    if not path.is_file():
        return [f"{path}: missing"]
    try:
        labels = read_labels(path)
    except ValueError as error:
        return [f"{path}: {error}"]
    problems = []
    for machine in facts.machines:
        found = Counter(
            (name.split("_")[1], label)
            for name, label in labels.get(machine, {}).items()
            if clip_prefix("test", name)
        )
        for machine_id in facts.ids("evaluation", machine):
            counts = facts.counts["evaluation", machine, machine_id]
            listed = Counts(0, found[machine_id, 0], found[machine_id, 1])
            if listed != counts:
                problems.append(
                    f"{path}: {machine} ID {machine_id}: {listed.test_normal} normal and "
                    f"{listed.test_anomaly} anomalous clips listed, {counts.test_normal} and "
                    f"{counts.test_anomaly} expected"
                )
    for machine, folder in machines.items():
        if folder.is_dir():
            there = {file.name for file in (folder / "test").glob("*.wav")}
            listed_names = set(labels.get(machine, {}))
            problems += [f"{folder}/test/{n}: missing" for n in sorted(listed_names - there)]
            problems += [f"{folder}/test/{n}: not in {path}" for n in sorted(there - listed_names)]
    return problems


def write_marker(folder: Path, archive: Archive, expected: Mapping[str, int]) -> None:
    """Say inside ``folder`` which archive it was unpacked from, once its clips are counted."""
    content = {"file": archive.file, "md5": archive.md5, "clips": dict(expected)}
    (folder / MARKER).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def has_marker(folder: Path, archive: Archive, expected: Mapping[str, int]) -> bool:
    """True if ``folder`` was unpacked by this program from this very archive."""
    try:
        content = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    return bool(content == {"file": archive.file, "md5": archive.md5, "clips": dict(expected)})
