"""The scores file: one row a test clip. Every metric and table is computed from it alone."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from asd.errors import AsdError

if TYPE_CHECKING:
    import pandas as pd

FILE_NAME = "scores.csv"
COLUMNS = ("machine", "id", "file", "label", "score")  # first, in this order; others may follow
LABELS = (0, 1, -1)  # normal, anomaly, not known
TEXT = ("machine", "id", "file")


def check_scores(frame: pd.DataFrame, source: str | Path) -> None:
    """Refuse a scores frame that could give a wrong metric.

    Args:
        frame: one row a clip with the columns ``COLUMNS``; ``id`` is text such as "00".
        source: what the message calls the frame, usually its path.

    Raises:
        AsdError: a column is missing, there is no row, a text cell is empty or not text, a label
            is not 0, 1 or -1, a score is not a finite number, or a clip stands twice.
    """
    missing = [c for c in COLUMNS if c not in frame.columns]
    if missing:
        raise AsdError(f"{source}: columns missing: {', '.join(missing)}")
    if not len(frame):
        raise AsdError(f"{source}: no clips; the scores of at least one test clip are needed")

    def name(row: int) -> str:
        return f"{frame['machine'].iloc[row]} {frame['file'].iloc[row]}"

    for column in TEXT:
        values = frame[column].tolist()
        if not set(map(type, values)) <= {str} or "" in values:
            bad = next(i for i, v in enumerate(values) if not isinstance(v, str) or not v)
            raise AsdError(
                f"{source}: row {bad + 1}: column {column!r} is {values[bad]!r}, not a text"
            )
    unknown = np.flatnonzero(~frame["label"].isin(LABELS).to_numpy())
    if len(unknown):
        row = int(unknown[0])
        raise AsdError(
            f"{source}: {name(row)}: label is {frame['label'].tolist()[row]!r}; "
            "it must be 0 (normal), 1 (anomaly) or -1 (not known)"
        )
    try:
        scores = frame["score"].to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise AsdError(f"{source}: column 'score' holds what is not a number: {error}") from error
    bad_rows = np.flatnonzero(~np.isfinite(scores))
    if len(bad_rows):
        row = int(bad_rows[0])
        raise AsdError(
            f"{source}: the score of {name(row)} is {scores[row]}, not a finite number "
            f"({len(bad_rows)} of {len(frame)} clips); the model or its input is at fault"
        )
    twice = np.flatnonzero(frame.duplicated(["machine", "file"]).to_numpy())
    if len(twice):
        raise AsdError(f"{source}: {name(int(twice[0]))} stands twice; a clip has one score")


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
    path = Path(path)
    check_scores(frame, path)
    others = [c for c in frame.columns if c not in COLUMNS]
    exact = frame[[*COLUMNS, *others]].astype({"score": np.float64, "label": np.int64})
    replace_file(path, exact.to_csv(index=False, lineterminator="\n"))


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
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream, strict=True)
            header = next(reader, [])
            missing = [c for c in COLUMNS if c not in header]
            if missing:
                raise AsdError(
                    f"{path}: line 1: columns missing: {', '.join(missing)}; "
                    f"a scores file begins with {','.join(COLUMNS)}"
                )
            if len(set(header)) < len(header):
                raise AsdError(f"{path}: line 1: a column name stands twice")
            rows: list[list[str]] = []
            lines: list[int] = []
            for row in reader:
                if not row:
                    continue
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

    cells = dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else {}
    if not cells:
        raise AsdError(f"{path}: no clips; the scores of at least one test clip are needed")
    columns: dict[str, object] = {}
    for column in [*COLUMNS, *(c for c in header if c not in COLUMNS)]:
        if column in TEXT:
            columns[column] = _texts(path, column, lines, cells[column])
        elif column == "label":
            columns[column] = _labels(path, lines, cells[column])
        elif column == "score":
            columns[column] = _finite(path, lines, cells[column])
        else:
            columns[column] = _numbers_or_text(cells[column])
    frame = pd.DataFrame(columns)
    twice = np.flatnonzero(frame.duplicated(["machine", "file"]).to_numpy())
    if len(twice):
        row_at = int(twice[0])
        raise AsdError(
            f"{path}: line {lines[row_at]}: {frame['machine'].iloc[row_at]} "
            f"{frame['file'].iloc[row_at]} stands twice; a clip has one score"
        )
    return frame


def replace_file(path: Path, text: str) -> None:
    """Write a UTF-8 text file in one step (temporary file, fsync, rename).

    Raises:
        AsdError: the disk is full, the folder cannot be written, and the like; whatever stood at
            ``path`` before is unchanged.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("w", encoding="utf-8", newline="") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise AsdError(
            f"{path}: cannot be written: {error.strerror}. Nothing was lost: what stood there "
            "before is unchanged. Free space or choose another folder, then repeat"
        ) from error


def _texts(path: Path, column: str, lines: list[int], cells: tuple[str, ...]) -> list[str]:
    for line, cell in zip(lines, cells, strict=True):
        if not cell:
            raise AsdError(f"{path}: line {line}: column {column!r} is empty")
    return list(cells)


def _labels(path: Path, lines: list[int], cells: tuple[str, ...]) -> np.ndarray:
    known = {str(label): label for label in LABELS}
    for line, cell in zip(lines, cells, strict=True):
        if cell not in known:
            raise AsdError(
                f"{path}: line {line}: column 'label' is {cell!r}; "
                "it must be 0 (normal), 1 (anomaly) or -1 (not known)"
            )
    return np.array([known[cell] for cell in cells], dtype=np.int64)


def _finite(path: Path, lines: list[int], cells: tuple[str, ...]) -> np.ndarray:
    values = np.empty(len(cells))
    for i, cell in enumerate(cells):
        try:
            values[i] = float(cell)
        except ValueError as error:
            raise AsdError(
                f"{path}: line {lines[i]}: column 'score' is {cell!r}, not a number"
            ) from error
        if not np.isfinite(values[i]):
            raise AsdError(
                f"{path}: line {lines[i]}: column 'score' is {cell!r}, not a finite number"
            )
    return values


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
