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

_TEXT = "a text, not empty"
_RULES = {
    "machine": _TEXT,
    "id": _TEXT,
    "file": _TEXT,
    "label": "0 (normal), 1 (anomaly) or -1 (not known)",
    "score": "a finite number",
}


def check_scores(frame: pd.DataFrame, source: str | Path) -> None:
    """Refuse a scores frame that could give a wrong metric.

    Args:
        frame: one row a clip with the columns ``COLUMNS``; ``id`` is text such as "00". There
            are none where a run has no test clips.
        source: what the message calls the frame, usually its path.

    Raises:
        AsdError: a column is missing, a text cell is empty or not text, a label
            is not 0, 1 or -1, a score is not a finite number, or a clip stands twice.
    """
    missing = [column for column in COLUMNS if column not in frame.columns]
    if missing:
        raise AsdError(
            f"{source}: columns missing: {', '.join(missing)}; a scores file begins with "
            f"{','.join(COLUMNS)}"
        )

    def refuse(row: int, problem: str) -> None:
        clip = f"{frame['machine'].iloc[row]} {frame['file'].iloc[row]}"
        raise AsdError(f"{source}: row {row + 1} ({clip}): {problem}")

    for column, rule in _RULES.items():
        for row, value in enumerate(frame[column].tolist()):
            if not _obeys(value, rule):
                refuse(row, f"column {column!r} is {value!r}; it must be {rule}")
    twice = np.flatnonzero(frame.duplicated(["machine", "file"]).to_numpy())
    if len(twice):
        refuse(int(twice[0]), "the clip stands twice; it has one score")


def _obeys(value: object, rule: str) -> bool:
    if rule == _TEXT:
        return isinstance(value, str) and value != ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return value in LABELS if rule == _RULES["label"] else math.isfinite(value)


def joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Scores frames below each other; one without rows where none has any."""
    import pandas as pd

    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(COLUMNS))


def write_scores(path: str | Path, frame: pd.DataFrame) -> None:
    """Write a scores file in one step: the old file or the whole new one, never a part.

    The columns ``COLUMNS`` come first, all others after. Floats are written as their shortest
    text that reads back to the same float64. The file's folder is made if need be.

    Raises:
        AsdError: see ``check_scores``; or the file cannot be written.
    """
    check_scores(frame, path)
    others = [c for c in frame.columns if c not in COLUMNS]
    exact = frame[[*COLUMNS, *others]].astype({"score": np.float64, "label": np.int64})
    write_text(Path(path), exact.to_csv(index=False, lineterminator="\n"))


def read_scores(path: str | Path) -> pd.DataFrame:
    """Read and check a scores file, as ``write_scores`` makes it.

    Returns:
        One row a clip: machine, id, file as text, label as int64 in {0, 1, -1}, score as
        float64, then the further columns as pandas reads them.

    Raises:
        AsdError: there is no such file, or it is not valid; the message names row and column.
    """
    import pandas as pd

    try:
        check_regular(Path(path))
        with warnings.catch_warnings(action="error", category=pd.errors.ParserWarning):
            frame = pd.read_csv(
                path,
                dtype=dict.fromkeys(COLUMNS, str),
                index_col=False,
                keep_default_na=False,
                na_values=[""],
                encoding="utf-8-sig",
                float_precision="round_trip",
            )
    except FileNotFoundError as error:
        raise AsdError(f"{path}: no such scores file") from error
    except OSError as error:
        raise AsdError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, pd.errors.ParserWarning) as error:
        raise AsdError(f"{path}: not a CSV file in UTF-8: {error}") from error
    for column in COLUMNS:
        if f"{column}.1" in frame:  # pandas's name for a second one
            raise AsdError(f"{path}: column {column!r} stands twice")
        if column in frame and _RULES[column] != _TEXT:
            frame[column] = frame[column].map(_number)
    check_scores(frame, path)
    others = [column for column in frame.columns if column not in COLUMNS]
    return frame[[*COLUMNS, *others]].astype({"label": np.int64, "score": np.float64})


def _number(cell: Any) -> Any:
    """The cell as a number, or as it is, to be refused."""
    try:
        return float(cell)
    except ValueError:
        return cell
