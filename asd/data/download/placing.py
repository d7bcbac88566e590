"""From a fetched archive to its place in the corpus, and whether what lies there is whole."""

from __future__ import annotations

import shutil
from pathlib import Path

from asd.data.dcase2020_facts import Archive
from asd.data.download.fetch import has_md5, say
from asd.data.download.plan import Download
from asd.data.download.published import clip_problems, has_marker, label_problems, write_marker
from asd.data.download.unpack import unpack
from asd.errors import AsdError
from asd.files import replacing
from asd.progress import progress_bar


def problems_of(job: Download, archive: Archive) -> list[str]:
    """Every discrepancy between what lies in the archive's place and what was published."""
    place = job.place(archive)
    if archive.machine is not None:
        form = job.facts.samples[archive.machine], job.facts.rate
        return clip_problems(place, job.expected(archive), form)
    machines = {machine: place.with_name(machine) for machine in job.machines}
    problems = label_problems(place, job.facts, machines)
    if place.is_file() and not has_md5(place, archive.md5):
        problems.append(f"{place}: MD5 is not {archive.md5}")
    return problems


def complete(job: Download, archive: Archive) -> bool:
    """True if nothing is to be done for this archive, False if it must be fetched.

    Raises:
        AsdError: what lies there is not complete and not ours to replace.
    """
    place, expected = job.place(archive), job.expected(archive)
    if not place.exists():
        return False
    if archive.machine is None:
        same = place.is_file() and has_md5(place, archive.md5)
        problems = [] if same else label_problems(place, job.facts, {})
    elif has_marker(place, archive, expected):
        problems = clip_problems(place, expected)
        if problems:
            say(f"{place}: no longer complete ({problems[0]}); fetching it again")
            return False
    else:
        problems = problems_of(job, archive)
    if problems:
        raise AsdError(
            f"{place} is not complete and was not made by this program ({len(problems)} "
            f"discrepancies; the first: {problems[0]}). Move it away or delete it and run again; "
            "--verify lists them all."
        )
    say(f"{place}: complete, nothing to do")
    return True


def place_clips(job: Download, archive: Archive, machine: str) -> None:
    """Unpack beside the target, count, mark, then rename: the target is whole or not there.

    Raises:
        AsdError: the archive is unsafe or broken, or its clips are not those published.
    """
    place, source, expected = job.place(archive), job.fetched(archive), job.expected(archive)
    fresh = place.with_name(f".unpacking-{place.name}")
    old = place.with_name(f".replaced-{place.name}")
    _clear(fresh, old)  # what a killed run left
    try:
        with progress_bar(f"unpacking {archive.file}", sum(expected.values())) as advance:
            unpack(source, fresh, machine, 2 * job.facts.samples[machine], advance)
        _refuse(source, "clips inside", clip_problems(fresh, expected))
        write_marker(fresh, archive, expected)
        if place.exists():
            place.rename(old)
        fresh.rename(place)
    finally:
        _clear(fresh, old)


def place_labels(job: Download, archive: Archive) -> None:
    """Check the list of evaluation labels and copy it to its place.

    Raises:
        AsdError: the labels are not those published.
    """
    _refuse(job.fetched(archive), "labels", label_problems(job.fetched(archive), job.facts, {}))
    with replacing(job.place(archive)) as temporary:
        shutil.copyfile(job.fetched(archive), temporary)


def _clear(*folders: Path) -> None:
    for folder in folders:
        if folder.exists():
            shutil.rmtree(folder)


def _refuse(source: Path, what: str, problems: list[str]) -> None:
    if problems:
        raise AsdError(
            f"{source}: the {what} are not those published; nothing was placed, the file stays for "
            "inspection:\n  " + "\n  ".join(problems)
        )
