"""Whether a folder of the DCASE 2020 corpus holds what was published: counts, headers, labels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pooch
import soundfile

from asd.data.dcase2020_facts import Facts
from asd.data.evaluation_labels import read_labels
from asd.data.manifest import SPLITS

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


def clip_problems(folder: Path, expected: Mapping[str, int], samples: int, rate: int) -> list[str]:
    """Every way in which the clips in ``folder`` are not those expected.

    Args:
        expected: clips by ``clip_prefix``.
        samples: in each, mono, compared with the WAV's header (libsndfile counts the samples
            really there, so a cut file shows).
        rate: Hz, compared likewise.
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
            try:
                info = soundfile.info(str(path))
            except soundfile.LibsndfileError as error:
                problems.append(f"{path}: cannot be read ({error.error_string})")
                continue
            if (info.frames, info.samplerate, info.channels) != (samples, rate, 1):
                problems.append(
                    f"{path}: {info.frames} samples, {info.samplerate} Hz, {info.channels} "
                    f"channel(s); {samples} samples, {rate} Hz, 1 channel expected"
                )
    return problems + [
        f"{folder}/{prefix}_*.wav: {counts[prefix]} clips, {expected.get(prefix, 0)} expected"
        for prefix in sorted({*counts, *expected})
        if counts[prefix] != expected.get(prefix, 0)
    ]


def label_problems(path: Path, md5: str) -> list[str]:
    """Every way in which the list of labels is not the published one, or does not fit the clips.

    Compared are the machine folders beside it, as far as they are there.
    """
    if not path.is_file():
        return [f"{path}: missing"]
    if pooch.file_hash(str(path), "md5") != md5:
        return [f"{path}: MD5 is not {md5}"]
    problems = []
    for machine, labels in read_labels(path).items():
        folder = path.with_name(machine)
        if folder.is_dir():
            named, clips = set(labels), {file.name for file in (folder / "test").glob("*.wav")}
            problems += [f"{folder}/test/{name}: missing" for name in sorted(named - clips)]
            problems += [f"{folder}/test/{name}: not in {path}" for name in sorted(clips - named)]
    return problems
