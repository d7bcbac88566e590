"""One published file: fetched with its MD5, resumed, checked, unpacked, whole or not there."""

from __future__ import annotations

import shutil
import sys
import time
import zipfile
from functools import partial
from pathlib import Path

import pooch
import requests
from urllib3.util import Retry

from asd.data.clip_files import list_clips, parse_name
from asd.data.dcase2020_facts import Archive, ClipCounts, Facts, wrong_counts
from asd.data.manifest import SPLITS, Part
from asd.errors import AsdError, first_lines
from asd.progress import progress_bar

RETRIES = 8  # in a row that bring nothing new
BACKOFF_S = 1.0  # doubles with each, up to 2 minutes, unless the server names a time
PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})  # may pass by themselves
TIMEOUT_S = (10.0, 60.0)  # to connect, of silence
CHUNK_BYTES = 1 << 18

# Ranges count bytes of the file itself, so no transfer compression.
HEADERS = {"Accept-Encoding": "identity", "User-Agent": "asd-download"}


def deliver(archive: Archive, facts: Facts, root: Path, base_url: str) -> None:
    """Bring a file's content to ``<root>/<release>/<machine>``, if it is not there already.

    It is unpacked beside its place and checked, then renamed: it is whole or not there. The list of
    labels lies in the release's folder as it is.

    Args:
        base_url: a template with {file} and {record}, or a folder of all files.

    Raises:
        AsdError: it cannot be fetched or unpacked, or is not what was published, as what lies in
            its place.
    """
    place = root / archive.release / (archive.machine or archive.file)
    if place.exists():
        _check(place, archive, facts, "move it away or delete it, and run again")
        print(f"{place}: complete, nothing to do", file=sys.stderr, flush=True)
        return
    url = base_url if "{file}" in base_url else base_url.rstrip("/") + "/{file}"
    url = url.replace("{record}", archive.record).replace("{file}", archive.file)
    fetch(url, file := root / "archives" / archive.file, archive.md5)
    fresh = place.with_name(f".unpacking-{place.name}")
    shutil.rmtree(fresh, ignore_errors=True)  # what a killed run left
    try:
        if archive.machine:
            unpack(file, fresh, archive.machine)
            _check(fresh, archive, facts, f"nothing was placed, {file} stays for inspection")
            fresh.rename(place)
            file.unlink()
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            file.replace(place)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    print(f"{place}: complete", file=sys.stderr, flush=True)


def _check(there: Path, archive: Archive, facts: Facts, remedy: str) -> None:
    """Refuse a list of another MD5, or clips that are others by name or number."""
    problems, present = list[str](), ClipCounts()
    if archive.machine:
        for split in SPLITS:
            part = Part(archive.release, archive.machine, split)
            clips, misnamed = list_clips(there / split, part)
            problems += misnamed.values()
            present.update((*part, clip.id, clip.label) for clip in clips)
        problems += wrong_counts(present, facts.clips(archive.release, archive.machine))
    elif pooch.file_hash(str(there), "md5") != archive.md5:
        problems = [f"MD5 is not {archive.md5}"]
    if problems:
        lines = first_lines(f"  {problem}" for problem in problems)
        raise AsdError(f"{there}: not what was published; {remedy}:\n{lines}")


def unpack(archive: Path, folder: Path, machine: str) -> None:
    """Write the clips of ``archive`` to ``folder/train`` and ``folder/test``, as plain files.

    Clips are entries ``[.../<machine>/]{train,test}/<clip name>.wav``; others are left out. No path
    of the archive is used as such: where a clip goes is put together from a split and a clip name,
    so that nothing is written elsewhere, whatever the archive says.

    Raises:
        AsdError: the archive is broken.
        OSError: the disk is full, an entry stands twice, and the like.
    """
    for split in SPLITS:
        (folder / split).mkdir(parents=True)
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            with progress_bar(f"unpacking {archive.name}", len(entries)) as advance:
                for entry in entries:
                    above, split, name = ["", "", *entry.filename.split("/")][-3:]
                    if above in ("", machine) and split in SPLITS and parse_name(name):
                        with opened.open(entry) as source, (folder / split / name).open("xb") as to:
                            shutil.copyfileobj(source, to)
                    advance(1)
    except zipfile.BadZipFile as error:
        raise AsdError(
            f"{archive}: cannot be unpacked ({error}); remove it and run again"
        ) from error


def fetch(url: str, target: Path, md5: str) -> None:
    """Fetch ``url`` into ``target``, or leave it if it is there with this MD5 (32 hex digits).

    A wrong file is removed, so that the next run fetches it from its first byte on.

    Raises:
        AsdError: the server refuses or fails too often, or the file is wrong.
        OSError: it cannot be written.
    """
    gather = partial(_gather, target.with_name(f"{target.name}.part"))
    try:
        pooch.retrieve(url, f"md5:{md5}", target.name, target.parent, downloader=gather)
    except (ValueError, requests.RequestException) as error:  # ValueError: the hash
        raise AsdError(
            f"{url}: {error}. Run the same command again later (a file that stopped half-way is "
            f"resumed), name a mirror with --base-url, or put {target.name} into {target.parent} "
            "by hand."
        ) from error


def _gather(part: Path, url: str, output_file: str, _: object) -> None:
    """A downloader for pooch whose bytes gather in ``part``, which outlives interruptions."""
    part.touch()
    Path(output_file).unlink()  # else a killed process would leave it beside the part
    most, failures = part.stat().st_size, 0
    while True:
        try:
            _request(url, part)
            break
        except requests.RequestException as error:
            answer, have = error.response, part.stat().st_size
            refused = answer is not None and answer.status_code not in PASSING_STATUS
            failures = 0 if have > most else failures + 1
            if refused or failures > RETRIES or isinstance(error, ValueError):  # no address
                raise
            most = max(most, have)
            print(f"{url}: {error}, at {have:,} bytes; trying again", file=sys.stderr, flush=True)
            asked = None if answer is None else Retry().get_retry_after(answer.raw)
            time.sleep(min(120.0, BACKOFF_S * 2**failures) if asked is None else asked)
    part.replace(output_file)


def _request(url: str, part: Path) -> None:
    """Ask for what the part lacks; append it if the server resumes, begin again if it does not."""
    have = part.stat().st_size
    headers = HEADERS | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
        if response.status_code == 416:
            return  # nothing lies beyond the part: its MD5 tells whether it is the file
        response.raise_for_status()
        begin = have if response.status_code == 206 else 0
        total = begin + int(response.headers.get("Content-Length", 0))
        shown = progress_bar(part.stem, total, done=begin)
        with part.open("ab" if begin else "wb") as file, shown as advance:
            for chunk in response.iter_content(CHUNK_BYTES):
                advance(file.write(chunk))
