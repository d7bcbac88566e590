"""The list that labels the evaluation clips, ``eval_data_list.csv``."""

from __future__ import annotations

from pathlib import Path


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
