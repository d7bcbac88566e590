"""Unpacking a zip of clips that nobody here has written: only what is expected, nowhere else."""

from __future__ import annotations

import shutil
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
    """Write the clips of ``archive`` to ``folder/train`` and ``folder/test``, as plain files.

    Clips are entries ``[.../<machine>/]{train,test}/<clip name>.wav``; others are left out. No path
    of the archive is used as such: where a clip goes is put together from a split and a clip name,
    so that nothing is written elsewhere, whatever the archive says.

    Args:
        clip_bytes: bytes of samples in a clip; an entry that is larger (with room for a header)
            refuses the archive before anything is written.

    Raises:
        AsdError: the archive is broken, or is none of clips of this size.
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
        # as stored: ZipInfo.filename is cut at a NUL
        folder, split, name = ["", "", *entry.orig_filename.split("/")][-3:]
        if folder not in ("", machine) or clip_prefix(split, name) is None:
            continue
        place = f"{split}/{name}"
        if entry.file_size > largest or place in clips:
            raise AsdError(
                f"{archive}: entry {entry.orig_filename!r} of {entry.file_size:,} bytes is larger "
                f"than a clip ({largest:,}) or stands twice; nothing was unpacked. This is not the "
                "published archive: remove it and fetch it from another server."
            )
        clips[place] = entry
    return clips
