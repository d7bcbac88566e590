"""Unpacking a zip of clips that nobody here has written: only what is expected, nowhere else."""

from __future__ import annotations

import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from asd.data.download.completeness import SPLIT_NAMES, clip_prefix
from asd.errors import AsdError

# A WAV of known length may carry this much beside its samples (header and further chunks).
HEADER_ROOM = 1 << 16


def unpack(
    archive: Path,
    folder: Path,
    machine: str,
    clip_bytes: int,
    advance: Callable[[int], None] = lambda _: None,
) -> int:
    """Write the clips of ``archive`` to ``folder/train`` and ``folder/test``.

    Clips are entries ``[.../<machine>/]{train,test}/<clip name>.wav``; others are left out. Every
    entry is looked at before anything is written, and one that points outside refuses the archive.

    Args:
        clip_bytes: bytes of samples in a clip; an entry that is larger (with room for a header)
            refuses the archive.
        advance: called with the bytes written since the last call.

    Returns:
        Clips written.

    Raises:
        AsdError: the archive is unsafe, broken, or larger than the disk has room for.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            clips = _clips(opened, archive, machine, clip_bytes + HEADER_ROOM)
            needed = sum(entry.file_size for entry in clips.values())
            folder.mkdir(parents=True)
            free = shutil.disk_usage(folder).free
            if needed > free:
                raise AsdError(
                    f"{archive}: unpacks to {needed:,} bytes, {folder} has {free:,} bytes free; "
                    "nothing was unpacked. Free some space and run again."
                )
            for split in SPLIT_NAMES:
                (folder / split).mkdir()
            for place, entry in clips.items():
                # zipfile stops at the size that the entry declares and checks its CRC.
                with opened.open(entry) as source, (folder / place).open("xb") as target:
                    shutil.copyfileobj(source, target)
                advance(entry.file_size)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise AsdError(
            f"{archive}: cannot be unpacked ({error}); remove it and run again"
        ) from error
    return len(clips)


def _clips(
    opened: zipfile.ZipFile, archive: Path, machine: str, largest: int
) -> dict[str, zipfile.ZipInfo]:
    """The entries to take, by their place below the folder, e.g. ``train/normal_id_00_...wav``."""
    clips: dict[str, zipfile.ZipInfo] = {}
    for entry in opened.infolist():
        problem = _unsafe(entry)
        if problem:
            _refuse(archive, entry, problem)
        parts = entry.filename.split("/")
        if entry.is_dir() or len(parts) < 2 or parts[-3:-2] not in ([], [machine]):
            continue
        if clip_prefix(parts[-2], parts[-1]) is None:
            continue
        if entry.file_size > largest:
            _refuse(archive, entry, f"{entry.file_size:,} bytes, a clip has at most {largest:,}")
        place = f"{parts[-2]}/{parts[-1]}"
        if place in clips:
            _refuse(archive, entry, "stands twice")
        clips[place] = entry
    return clips


def _unsafe(entry: zipfile.ZipInfo) -> str | None:
    """Why an entry must not be unpacked; None if it may."""
    name = entry.orig_filename  # as stored: ZipInfo.filename is cut at a NUL
    if "\\" in name or "\0" in name:
        return "a backslash or NUL in the name"
    if name.startswith("/") or re.match("[A-Za-z]:", name):
        return "an absolute path"
    if ".." in name.split("/"):
        return "a path that leaves the folder"
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "a link or a special file"
    if entry.flag_bits & 0x1:
        return "encrypted"
    return None


def _refuse(archive: Path, entry: zipfile.ZipInfo, problem: str) -> None:
    raise AsdError(
        f"{archive}: entry {entry.orig_filename!r}: {problem}; nothing was unpacked. This is not "
        "the published archive: remove it and fetch it from another server."
    )
