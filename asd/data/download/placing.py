"""From a fetched archive to its place in the corpus, and whether what lies there is whole."""

from __future__ import annotations

import shutil

from asd.data.dcase2020_facts import Archive
from asd.data.download.completeness import (
    count_problems,
    has_marker,
    header_problems,
    label_problems,
    write_marker,
)
from asd.data.download.fetch import mismatch
from asd.data.download.plan import Download
from asd.data.download.report import Report
from asd.data.download.unpack import unpack
from asd.errors import AsdError


def clip_problems(job: Download, archive: Archive) -> list[str]:
    """Every clip too many or too few, and every WAV that is not as published."""
    assert archive.machine is not None
    samples = job.facts.samples[archive.machine]
    place = job.place(archive)
    return [
        *count_problems(place, job.expected(archive)),
        *header_problems(place, samples, job.facts.rate),
    ]


def complete(job: Download, archive: Archive, report: Report) -> bool:
    """True if nothing is to be done for this archive, False if it must be fetched.

    Raises:
        AsdError: what lies there is not complete and not ours to replace.
    """
    place = job.place(archive)
    if not place.exists():
        return False
    if archive.machine is None:
        if place.is_file() and mismatch(place, archive.bytes, archive.md5) is None:
            report.line(f"{place}: complete, nothing to do")
            return True
        problems = label_problems(place, job.facts, {})
    elif has_marker(place, archive, job.expected(archive)):
        problems = count_problems(place, job.expected(archive))
        if problems:
            report.line(f"{place}: no longer complete ({problems[0]}); fetching it again")
            return False
    else:
        problems = clip_problems(job, archive)
    if problems:
        raise AsdError(
            f"{place} is not complete and was not made by this program ({len(problems)} "
            f"discrepancies; the first: {problems[0]}). Move it away or delete it and run again; "
            "--verify lists them all."
        )
    report.line(f"{place}: complete, nothing to do")
    return True


def place_clips(job: Download, archive: Archive, report: Report) -> None:
    """Unpack beside the target, count, mark, then rename: the target is whole or not there.

    Raises:
        AsdError: the archive is unsafe or broken, or its clips are not those published.
    """
    assert archive.machine is not None
    place, source = job.place(archive), job.fetched(archive)
    fresh = place.with_name(f".unpacking-{place.name}")
    old = place.with_name(f".replaced-{place.name}")
    for leftover in (fresh, old):
        if leftover.exists():
            shutil.rmtree(leftover)
    place.parent.mkdir(parents=True, exist_ok=True)
    clip_bytes = 2 * job.facts.samples[archive.machine]
    expected = job.expected(archive)
    try:
        label = f"unpacking {archive.file}"
        with report.bar(label, job.unpacked_bytes(archive)) as advance:
            unpack(source, fresh, archive.machine, clip_bytes, advance)
        problems = count_problems(fresh, expected)
        if problems:
            listed = "\n  ".join(problems)
            raise AsdError(
                f"{source}: the clips inside are not those published; nothing was placed in "
                f"{place}, the archive stays for inspection:\n  {listed}"
            )
        write_marker(fresh, archive, expected)
        if place.exists():
            place.rename(old)
        fresh.rename(place)
    finally:
        for leftover in (fresh, old):
            if leftover.exists():
                shutil.rmtree(leftover)


def place_labels(job: Download, archive: Archive) -> None:
    """Check the list of evaluation labels and copy it to its place.

    Raises:
        AsdError: the labels are not those published.
    """
    place, source = job.place(archive), job.fetched(archive)
    problems = label_problems(source, job.facts, {})
    if problems:
        listed = "\n  ".join(problems)
        raise AsdError(f"{source}: the labels are not those published:\n  {listed}")
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = place.with_name(f".{place.name}.new")
    shutil.copyfile(source, fresh)
    fresh.replace(place)
