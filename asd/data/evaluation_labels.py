"""The list that labels the evaluation clips, ``eval_data_list.csv``."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from asd.data.clip_files import Clip
from asd.errors import AsdError

log = logging.getLogger(__name__)

LABEL_LIST = "eval_data_list.csv"


def read_labels(path: Path) -> dict[str, dict[str, int]]:
    """The list of evaluation labels: machine type -> clip name -> 0 normal, 1 anomaly.

    A line with a machine type opens its section; then ``name,original name,label``.

    Raises:
        ValueError: a line is of neither kind; the text names it.
    """
    labels: dict[str, dict[str, int]] = {}
    section: dict[str, int] | None = None
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        cells = [cell.strip() for cell in line.split(",")]
        filled = [cell for cell in cells if cell]
        if len(filled) == 1:
            section = labels.setdefault(filled[0], {})
        elif len(filled) == 3 and filled[2] in ("0", "1") and section is not None:
            section[filled[0]] = int(filled[2])
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
    labels: dict[str, dict[str, int]] = {}
    for path in (root / LABEL_LIST, root / "evaluation" / LABEL_LIST):
        try:
            labels |= read_labels(path) if path.is_file() else {}
        except (OSError, ValueError) as error:
            raise AsdError(
                f"{path}: cannot be used ({error}): mend it or fetch it again"
            ) from error
    labelled = []
    for clip in clips:
        listed = labels.get(clip.part.machine, {}).get(clip.path.name, -1)
        labelled.append(replace(clip, label=listed) if clip.label == -1 else clip)
    if missing := sum(clip.label == -1 for clip in labelled):
        text = "%s: %d clips have no label, nor has %s any: they are scored but not judged"
        log.warning(text, root, missing, LABEL_LIST)
    return labelled
