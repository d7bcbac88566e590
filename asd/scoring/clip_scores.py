"""The scores file: one row a test clip. Every metric and table is computed from it alone."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asd.errors import AsdError
from asd.files import check_regular, write_text

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("machine", "id", "file", "label", "score")  # first, in this order; others may follow
LABELS = (0, 1, -1)  # normal, anomaly, not known
NO_TEST_CLIPS = "no test clips: no AUC"

_NUMBERS = {"label": "0 (normal), 1 (anomaly) or -1 (not known)", "score": "a finite number"}


def check_scores(frame: pd.DataFrame, source: str | Path) -> None:
    """Refuse a scores frame that could give a wrong metric; ``source`` is what messages call it.

    Raises:
        AsdError: a column is missing, a text cell is empty or not text, a label
            is not 0, 1 or -1, a score is not a finite number, or a clip stands twice.
    """
    missing = [column for column in COLUMNS if column not in frame.columns]
    if missing:
        begin = f"a scores file begins with {','.join(COLUMNS)}"
        raise AsdError(f"{source}: columns missing: {', '.join(missing)}; {begin}")

    def refuse(row: int, problem: str) -> None:
        clip = f"{frame['machine'].iloc[row]} {frame['file'].iloc[row]}"
        raise AsdError(f"{source}: row {row + 1} ({clip}): {problem}")

    for column in COLUMNS:
        for row, value in enumerate(frame[column].tolist()):
            if not _obeys(column, value):
                rule = _NUMBERS.get(column, "a text, not empty")
                refuse(row, f"column {column!r} is {value!r}; it must be {rule}")
    if (twice := frame.duplicated(["machine", "file"])).any():
        refuse(int(twice.argmax()), "the clip stands twice; it has one score")


def _obeys(column: str, value: object) -> bool:
    if column not in _NUMBERS:
        return isinstance(value, str) and value != ""
    number = isinstance(value, int | float) and math.isfinite(value)
    return number and (column != "label" or value in LABELS)


def joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Scores frames below each other; one without rows where none has any."""
    import pandas as pd

    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(COLUMNS))


def write_scores(path: str | Path, frame: pd.DataFrame) -> None:
    """Write a checked scores file in one step: the old file or the whole new one, never a part.

    ``COLUMNS`` come first. Floats are their shortest text that reads back to the same float64.
    """
    write_text(Path(path), _checked(frame, path).to_csv(index=False, lineterminator="\n"))


def read_scores(path: str | Path) -> pd.DataFrame:
    """Read and check a scores file, as ``write_scores`` makes it: one row a clip.

    Machine, id, file are text, label int64, score float64; then come others as pandas reads them.

    Raises:
        AsdError: there is no such file, or it is not valid; the message names row and column.
    """
    import pandas as pd

    try:
        check_regular(Path(path))
        with warnings.catch_warnings(action="error", category=pd.errors.ParserWarning):
            frame = pd.read_csv(
                path, dtype=dict.fromkeys(COLUMNS, str), index_col=False, keep_default_na=False,
                na_values=[""], encoding="utf-8-sig", float_precision="round_trip",
            )  # fmt: skip
    except OSError as error:
        raise AsdError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, pd.errors.ParserWarning) as error:
        raise AsdError(f"{path}: not a CSV file in UTF-8: {error}") from error
    for column in frame.columns.intersection(list(_NUMBERS)):
        frame[column] = frame[column].map(_number)
    return _checked(frame, path)


def _checked(frame: pd.DataFrame, source: str | Path) -> pd.DataFrame:
    check_scores(frame, source)
    others = frame.columns.difference(list(COLUMNS), sort=False)
    return frame[[*COLUMNS, *others]].astype({"label": np.int64, "score": np.float64})


def _number(cell: Any) -> Any:
    """The cell as a number, or as it is, to be refused."""
    try:
        return float(cell)
    except ValueError:
        return cell
