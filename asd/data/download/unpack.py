"""Unpacking a zip of clips that nobody here has written: only what is expected, nowhere else."""

from __future__ import annotations

import re
import shutil
import stat
import zipfile
import zlib
from pathlib import Path

from asd.data.download.published import clip_prefix
from asd.data.manifest import SPLITS
from asd.errors import AsdError
from asd.progress import progress_bar

# A WAV of known length may carry this much beside its samples (header and further chunks).
HEADER_ROOM = 1 << 16


def unpack(archive: Path, folder: Path, machine: str, clip_bytes: int) -> None:
    """Write the clips of ``archive`` to ``folder/train`` and ``folder/test``.

    Clips are entries ``[.../<machine>/]{train,test}/<clip name>.wav``; others are left out. Every
    entry is looked at before anything is written, and one that points outside refuses the archive.

    Args:
        clip_bytes: bytes of samples in a clip; an entry that is larger (with room for a header)
            refuses the archive.

    Raises:
        AsdError: the archive is unsafe or broken.
        OSError: the disk is full, and the like.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            clips = _clips(opened, archive, machine, clip_bytes + HEADER_ROOM)
            for split in SPLITS:
                (folder / split).mkdir(parents=True)
            with progress_bar(f"unpacking {archive.name}", len(clips)) as advance:
                for place, entry in clips.items():
                    # zipfile stops at the size that the entry declares and checks its CRC.
                    with opened.open(entry) as source, (folder / place).open("xb") as target:
                        shutil.copyfileobj(source, target)
                    advance(1)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise AsdError(
            f"{archive}: cannot be unpacked ({error}); remove it and run again"
        ) from error


def _clips(
    opened: zipfile.ZipFile, archive: Path, machine: str, largest: int
) -> dict[str, zipfile.ZipInfo]:
    """The entries to take, by their place below the folder, e.g. ``train/normal_id_00_...wav``."""
    clips: dict[str, zipfile.ZipInfo] = {}
    for entry in opened.infolist():
        problem = _danger(entry)
        folder, split, name = ["", "", *entry.filename.split("/")][-3:]
        place = f"{split}/{name}"
        if problem is None and (folder not in ("", machine) or clip_prefix(split, name) is None):
            continue
        if entry.file_size > largest:
            problem = f"{entry.file_size:,} bytes, a clip has at most {largest:,}"
        elif place in clips:
            problem = "stands twice"
        if problem is not None:
            raise AsdError(
                f"{archive}: entry {entry.orig_filename!r}: {problem}; nothing was unpacked. This "
                "is not the published archive: remove it and fetch it from another server."
            )
        clips[place] = entry
    return clips


def _danger(entry: zipfile.ZipInfo) -> str | None:
    """Why an entry must not be unpacked; None if it may."""
    name = entry.orig_filename  # as stored: ZipInfo.filename is cut at a NUL
    kind = stat.S_IFMT(entry.external_attr >> 16)
    for refused, problem in (
        ("\\" in name or "\0" in name, "a backslash or NUL in the name"),
        (name.startswith("/") or re.match("[A-Za-z]:", name), "an absolute path"),
        (".." in name.split("/"), "a path that leaves the folder"),
        (kind not in (0, stat.S_IFREG, stat.S_IFDIR), "a link or a special file"),
        (entry.flag_bits & 0x1, "encrypted"),
    ):
        if refused:
            return problem
    return None
