"""A document as headings, paragraphs, tables and figures, before it is any format."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

# Of a cell's line, for colour: what we measured, its interval, the paper's and the rest.
Kind = Literal[
    "value", "best", "interval", "published", "difference", "missing", "text", "good", "bad"
]


@dataclass(frozen=True)
class Line:
    """A line of a table's cell; ``link``: a path relative to the document."""

    text: str
    kind: Kind = "text"
    link: str = ""


CellLines = list[Line]


def plain_row(*cells: str) -> list[CellLines]:
    """A row of cells of one line."""
    return [[Line(cell)] for cell in cells]


@dataclass(kw_only=True)
class Block:
    """A part of a document.

    ``folded``: the name under which it is shown on demand, where the format can; empty: always.
    """

    folded: str = ""

    @property
    def kind(self) -> str:
        """What templates know it by: "heading", "text", "table" or "figure"."""
        return type(self).__name__.lower()


@dataclass
class Table(Block):
    """``rows`` of as many cells as the header; the first ``texts`` columns are words, not numbers.

    ``title``: empty where a heading says it; ``notes``: below it.
    """

    header: list[str]
    rows: list[list[CellLines]]
    title: str = ""
    texts: int = 1
    notes: list[str] = field(default_factory=list)


@dataclass
class Heading(Block):
    """``level`` 1 (the document) to 3 (not shown in a terminal)."""

    text: str
    level: int


@dataclass
class Text(Block):
    """A paragraph, one that a reader must not miss ("loud"), or lines to type ("commands")."""

    text: str
    style: Literal["plain", "loud", "commands"] = "plain"


@dataclass
class Figure(Block):
    """A picture with what it shows."""

    path: Path
    caption: str
