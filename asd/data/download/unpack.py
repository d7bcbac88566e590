"""Unpacking the zip of a machine type: its clips, to nowhere but where they belong."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

from asd.data.clip_files import parse_name
from asd.data.manifest import SPLITS
from asd.errors import AsdError
from asd.progress import progress_bar


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
