"""The scores file: one row a test clip. Every metric and table is computed from it alone."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asd.errors import AsdError
from asd.files import write_text

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("machine", "id", "file", "label", "score")  # first, in this order; others may follow
LABELS = (0, 1, -1)  # normal, anomaly, not known
TEXT = ("machine", "id", "file")


def check_scores(
    frame: pd.DataFrame, source: str | Path, lines: Sequence[int] | None = None
) -> None:
    """Refuse a scores frame that could give a wrong metric.

    Args:
        frame: one row a clip with the columns ``COLUMNS``; ``id`` is text such as "00".
        source: what the message calls the frame, usually its path.
        lines: [rows] of the file it was read from, for messages; None: rows are named by clip.

    Raises:
        AsdError: a column is missing, there is no row, a text cell is empty or not text, a label
            is not 0, 1 or -1, a score is not a finite number, or a clip stands twice.
    """
    missing = [c for c in COLUMNS if c not in frame.columns]
    if missing:
        raise AsdError(f"{source}: columns missing: {', '.join(missing)}")
    if not len(frame):
        raise AsdError(f"{source}: no clips; the scores of at least one test clip are needed")

    def refuse(row: int, problem: str) -> None:
        clip = f"{frame['machine'].iloc[row]} {frame['file'].iloc[row]}"
        place = f"row {row + 1} ({clip})" if lines is None else f"line {lines[row]}"
        raise AsdError(f"{source}: {place}: {problem}")

    for column in TEXT:
        for row, value in enumerate(frame[column].tolist()):
            if not isinstance(value, str) or not value:
                problem = "is empty" if value == "" else f"is {value!r}, not a text"
                refuse(row, f"column {column!r} {problem}")
    labels = frame["label"].tolist()
    for row, value in enumerate(labels):
        if value not in LABELS:
            meaning = "0 (normal), 1 (anomaly) or -1 (not known)"
            refuse(row, f"column 'label' is {value!r}; it must be {meaning}")
    for row, value in enumerate(frame["score"].tolist()):
        if isinstance(value, bool) or not isinstance(value, int | float):
            refuse(row, f"column 'score' is {value!r}, not a number")
        if not np.isfinite(value):
            refuse(row, f"column 'score' is {value}, not a finite number; the model or its input "
                        "is at fault")  # fmt: skip
    twice = np.flatnonzero(frame.duplicated(["machine", "file"]).to_numpy())
    if len(twice):
        row = int(twice[0])
        clip = f"{frame['machine'].iloc[row]} {frame['file'].iloc[row]}"
        refuse(row, f"{clip} stands twice; a clip has one score")


def write_scores(path: str | Path, frame: pd.DataFrame) -> None:
    """Write a scores file in one step: the old file or the whole new one, never a part.

    The columns ``COLUMNS`` come first, all others after. Floats are written as their shortest
    text that reads back to the same float64.

    Args:
        path: the CSV file to write; its folder is made if need be.
        frame: one row a clip; see ``check_scores``.

    Raises:
        AsdError: the frame is not a valid one, or the file cannot be written.
    """
    check_scores(frame, path)
    others = [c for c in frame.columns if c not in COLUMNS]
    exact = frame[[*COLUMNS, *others]].astype({"score": np.float64, "label": np.int64})
    write_text(Path(path), exact.to_csv(index=False, lineterminator="\n"))


def read_scores(path: str | Path) -> pd.DataFrame:
    """Read and check a scores file.

    Args:
        path: a CSV file as ``write_scores`` makes it.

    Returns:
        One row a clip: machine, id, file as text, label as int64 in {0, 1, -1}, score as
        float64, then the further columns, as numbers where every cell is one (an empty cell is
        NaN) and as text otherwise.

    Raises:
        AsdError: there is no such file, or it is not valid; the message names line and column.
    """
    import pandas as pd

    path = Path(path)
    header, rows, lines = _read_rows(path)
    missing = [c for c in COLUMNS if c not in header]
    if missing:
        raise AsdError(
            f"{path}: line 1: columns missing: {', '.join(missing)}; "
            f"a scores file begins with {','.join(COLUMNS)}"
        )
    if len(set(header)) < len(header):
        raise AsdError(f"{path}: line 1: a column name stands twice")
    cells = dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else {}
    columns: dict[str, list[Any]] = {}
    for column in [*COLUMNS, *(c for c in header if c not in COLUMNS)]:
        of_column = cells.get(column, ())
        if column in TEXT:
            columns[column] = list(of_column)
        elif column == "label":
            columns[column] = [int(c) if c in map(str, LABELS) else c for c in of_column]
        elif column == "score":
            columns[column] = [_number(c) for c in of_column]
        else:
            columns[column] = _numbers_or_text(of_column)
    frame = pd.DataFrame(columns)
    check_scores(frame, path, lines)
    return frame.astype({"label": np.int64, "score": np.float64})


def _read_rows(path: Path) -> tuple[list[str], list[list[str]], list[int]]:
    """Header, rows of as many cells, and the line that each row ends on."""
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream, strict=True)
            header = next(reader, [])
            for row in filter(None, reader):
                if len(row) != len(header):
                    raise AsdError(
                        f"{path}: line {reader.line_num}: {len(row)} cells where the header has "
                        f"{len(header)}"
                    )
                rows.append(row)
                lines.append(reader.line_num)
    except FileNotFoundError as error:
        raise AsdError(f"{path}: no such scores file") from error
    except OSError as error:
        raise AsdError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise AsdError(f"{path}: not a CSV file in UTF-8: {error}") from error
    return header, rows, lines


def _number(cell: str) -> float | str:
    """The cell as a number, or as it is, to be refused."""
    try:
        return float(cell)
    except ValueError:
        return cell


def _numbers_or_text(cells: tuple[str, ...]) -> list[str] | list[int] | list[float]:
    # "00" is a name, not a number: a leading zero keeps the column text
    if any(c.lstrip("-")[:1] == "0" and c.lstrip("-")[1:2].isdigit() for c in cells):
        return list(cells)
    try:
        return [int(c) for c in cells]
    except ValueError:
        pass
    try:
        return [float(c) if c else float("nan") for c in cells]
    except ValueError:
        return list(cells)
