"""What the names of sound files say, and the list that labels them, before any is opened."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from asd.data.manifest import SPLITS, Part
from asd.errors import AsdError, shown

log = logging.getLogger(__name__)

LABEL_LIST = "eval_data_list.csv"  # labels of evaluation clips
SUFFIXES = (".wav", ".flac", ".aif", ".aiff")
LOSSY_SUFFIXES = (".ogg", ".oga", ".opus", ".mp3")  # clips too: reading them says why they are none
NAMES = (
    "{normal,anomaly}_id_<ID>_<digits>.wav (or .flac, .aiff), or id_<ID>_<digits>.wav without a "
    "label"
)
Problems = dict[Path, str]  # files that cannot be used, and what to say
_NAME = re.compile(r"(?:(normal|anomaly)_)?id_([0-9A-Za-z-]+)_[0-9]+\.[A-Za-z0-9]+")
_LABELS = {"normal": 0, "anomaly": 1, None: -1}


@dataclass(frozen=True)
class Clip:
    """A file whose name is understood."""

    part: Part
    id: str
    label: int  # 0 normal, 1 anomaly, -1 not known
    path: Path


def list_folder(folder: Path) -> list[Path]:
    """What lies in a folder by name, without hidden files (.DS_Store, ._name.wav).

    Raises:
        AsdError: the folder cannot be listed.
    """
    try:
        paths = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise AsdError(
            f"{folder}: cannot list this folder ({error.strerror or error}): "
            "check that it is there and that you may read it"
        ) from error
    return sorted(paths, key=lambda path: path.name)


def is_sound(path: Path) -> bool:
    """Whether a file is called as a sound file is."""
    return path.suffix.lower() in SUFFIXES + LOSSY_SUFFIXES


def parse_name(name: str) -> tuple[str, int] | None:
    """Machine ID and label of a clip's file name, or None if it does not fit ``NAMES``."""
    match = _NAME.fullmatch(name)
    known = match and is_sound(Path(name))
    return (match[2], _LABELS[match[1]]) if match and known else None


def list_clips(folder: Path, part: Part) -> tuple[list[Clip], Problems]:
    """The clips that lie in a part's folder, by name, if it is there; no file is opened.

    Other than sound files are left alone (``unused_files`` names them). A sound file with another
    name than ``NAMES``, or one named an anomaly among the training clips, is a problem.

    Raises:
        AsdError: the folder cannot be listed.
    """
    clips: list[Clip] = []
    problems: Problems = {}
    for path in filter(is_sound, list_folder(folder) if folder.exists() else []):
        parsed = parse_name(path.name)
        if parsed is None:
            problems[path] = f"{shown(path)}: the name does not fit {NAMES}: rename it"
        elif part.split == "train" and parsed[1] == 1:
            problems[path] = f"{path}: training clips must be normal: move this anomaly to test"
        else:
            clips.append(Clip(part, *parsed, path))
    return clips, problems


def unused_files(folder: Path, used: Collection[Path]) -> list[Path]:
    """What lies in a folder and the folders in it besides what is used; hidden things left out.

    Of the folder itself only sound files are of interest: lists and notes belong there. Links to
    folders are entered as a machine's or a split's, else named. ``AsdError``: one cannot be listed.
    """
    unused: list[Path] = []
    refuse = lambda error: list_folder(Path(error.filename))  # noqa: E731
    for place, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        top = Path(place) == folder
        links = [n for n in folders if Path(place, n).is_symlink() and not top and n not in SPLITS]
        folders[:] = [n for n in folders if not n.startswith(".") and n not in links]
        files = [Path(place, n) for n in [*names, *links] if not n.startswith(".")]
        unused += [path for path in files if path not in used and (is_sound(path) or not top)]
    return sorted(unused)


def _read_labels(path: Path) -> dict[tuple[str, str], int]:
    """The list of evaluation labels: (machine type, clip name) -> 0 normal, 1 anomaly.

    A line with a machine type opens its section; then ``name,original name,label``.
    """
    labels: dict[tuple[str, str], int] = {}
    machine = ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        filled = [cell.strip() for cell in line.split(",") if cell.strip()]
        if len(filled) == 1:
            machine = filled[0]
        elif len(filled) == 3 and filled[2] in ("0", "1") and machine:
            labels[machine, filled[0]] = int(filled[2])
        elif filled:
            raise ValueError(f"line {number} is not understood: {line[:80]!r}")
    return labels


def label_clips(root: Path, clips: list[Clip]) -> list[Clip]:
    """Give clips named ``id_...`` the label of ``eval_data_list.csv``, where one is there.

    Raises:
        AsdError: the list cannot be read.
    """
    if all(clip.label != -1 for clip in clips):
        return clips
    labels: dict[tuple[str, str], int] = {}
    for path in (root / LABEL_LIST, root / "evaluation" / LABEL_LIST):
        try:
            labels |= _read_labels(path) if path.is_file() else {}
        except (OSError, ValueError) as error:
            raise AsdError(
                f"{path}: cannot be used ({error}): mend it or fetch it again"
            ) from error
    labelled = [
        clip
        if clip.label != -1
        else replace(clip, label=labels.get((clip.part.machine, clip.path.name), -1))
        for clip in clips
    ]
    if missing := sum(clip.label == -1 for clip in labelled):
        text = "%s: %d clips have no label, nor has %s any: they are scored but not judged"
        log.warning(text, root, missing, LABEL_LIST)
    return labelled
