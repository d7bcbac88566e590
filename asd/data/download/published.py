"""Whether a folder of the DCASE 2020 corpus holds what was published: counts, headers, labels."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from asd.data.dcase2020_facts import Archive, Facts
from asd.data.evaluation_labels import read_labels
from asd.data.manifest import SPLITS

MARKER = ".complete.json"
_CLIP = re.compile(r"((?:(?:normal|anomaly)_)?id_\d+)_\d{8}\.wav")


def clip_prefix(split: str, name: str) -> str | None:
    """The group that a clip is counted in, e.g. ``test/anomaly_id_00``; None if it is no clip."""
    match = _CLIP.fullmatch(name)
    return f"{split}/{match[1]}" if match and split in SPLITS else None


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


def clip_problems(
    folder: Path, expected: Mapping[str, int], form: tuple[int, int] | None = None
) -> list[str]:
    """Every way in which the clips in ``folder`` are not those expected.

    Args:
        expected: clips by ``clip_prefix``.
        form: samples and rate in Hz of a clip, mono, for comparison with each WAV's header
            (libsndfile counts the samples really there, so a cut file shows); None: none is opened.
    """
    if not folder.is_dir():
        return [f"{folder}: folder missing"]
    counts: Counter[str] = Counter()
    problems = []
    for split in SPLITS:
        for path in sorted((folder / split).glob("[!.]*")):  # hidden: what file managers leave
            prefix = clip_prefix(split, path.name)
            if prefix is None or not path.is_file():
                problems.append(f"{path}: not a clip of this corpus")
                continue
            counts[prefix] += 1
            if form is not None:
                problems += _header_problems(path, *form)
    return problems + [
        f"{folder}/{prefix}_*.wav: {counts[prefix]} clips, {expected.get(prefix, 0)} expected"
        for prefix in sorted({*counts, *expected})
        if counts[prefix] != expected.get(prefix, 0)
    ]


def _header_problems(path: Path, samples: int, rate: int) -> list[str]:
    import soundfile

    try:
        info = soundfile.info(str(path))
    except soundfile.LibsndfileError as error:
        return [f"{path}: cannot be read ({error.error_string})"]
    if (info.frames, info.samplerate, info.channels) == (samples, rate, 1):
        return []
    return [
        f"{path}: {info.frames} samples, {info.samplerate} Hz, {info.channels} channel(s); "
        f"{samples} samples, {rate} Hz, 1 channel expected"
    ]


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
    for (release, machine, machine_id), counts in facts.counts.items():
        names = labels.get(machine, {}).items()
        of_id = [label for name, label in names if name.startswith(f"id_{machine_id}_")]
        listed = of_id.count(0), of_id.count(1)
        if release == "evaluation" and listed != (counts.test_normal, counts.test_anomaly):
            problems.append(
                f"{path}: {machine} ID {machine_id}: {listed[0]} normal and {listed[1]} anomalous "
                f"clips listed, {counts.test_normal} and {counts.test_anomaly} expected"
            )
    for machine, folder in machines.items():
        if folder.is_dir():
            named = set(labels.get(machine, {}))
            clips = {file.name for file in (folder / "test").glob("*.wav")}
            problems += [f"{folder}/test/{name}: missing" for name in sorted(named - clips)]
            problems += [f"{folder}/test/{name}: not in {path}" for name in sorted(clips - named)]
    return problems


def write_marker(folder: Path, archive: Archive, expected: Mapping[str, int]) -> None:
    """Say inside ``folder`` which archive it was unpacked from, once its clips are counted."""
    text = json.dumps(_marker(archive, expected), indent=1) + "\n"
    (folder / MARKER).write_text(text, encoding="utf-8")


def has_marker(folder: Path, archive: Archive, expected: Mapping[str, int]) -> bool:
    """True if ``folder`` was unpacked by this program from this very archive."""
    try:
        text = (folder / MARKER).read_text(encoding="utf-8")
        return bool(json.loads(text) == _marker(archive, expected))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False


def _marker(archive: Archive, expected: Mapping[str, int]) -> dict[str, object]:
    return {"file": archive.file, "md5": archive.md5, "clips": dict(expected)}
