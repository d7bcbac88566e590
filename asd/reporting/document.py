"""A report as headings, paragraphs, tables and figures, before it is any format."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

# Kinds of lines in a cell, for colour: what we measured, its interval, the paper's and the rest.
VALUE, INTERVAL, PUBLISHED, DIFFERENCE, MISSING, TEXT, GOOD, BAD = (
    "value", "interval", "published", "difference", "missing", "text", "good", "bad",
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """A line of a table's cell."""

    text: str
    kind: str = TEXT


CellLines = list[Line]


@dataclass
class Table:
    """``rows`` of cells of lines; the first ``texts`` columns are words, the others numbers.

    ``folded``: the name under which it is shown on demand, where the format can.
    """

    title: str
    header: list[str]
    rows: list[list[CellLines]]
    texts: int = 1
    notes: list[str] = field(default_factory=list)
    folded: str = ""


@dataclass
class Heading:
    """``level`` 1 (the report) to 3."""

    text: str
    level: int


@dataclass
class Text:
    """A paragraph; ``loud`` where a reader must not miss it."""

    text: str
    loud: bool = False


@dataclass
class Commands:
    """Lines to type."""

    lines: list[str]


@dataclass
class Figure:
    """A picture with what it shows. ``folded``: shown on demand where the format can."""

    path: Path
    caption: str
    folded: str = ""


Block = Heading | Text | Table | Commands | Figure
