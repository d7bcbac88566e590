"""A document for the terminal, with rich."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import replace
from textwrap import indent
from typing import TYPE_CHECKING

from asd.documents import blocks as parts
from asd.errors import shown

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_PROSE = 26  # columns that a cell of words needs at least
_STYLES: dict[parts.Kind, str] = {
    "value": "", "best": "bold", "interval": "dim", "published": "cyan", "difference": "magenta",
    "missing": "yellow", "good": "bold green", "bad": "bold red", "text": "",
}  # fmt: skip


def open_console() -> Console:
    """The terminal, or 80 columns (``COLUMNS``) elsewhere; a character it lacks becomes a mark."""
    from rich.console import Console

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    return Console(highlight=False)


def show(blocks: Sequence[parts.Block], console: Console) -> None:
    """Print all blocks but figures and what is folded, which are for the other formats."""
    for block in blocks:
        if isinstance(block, parts.Heading) and block.level < 3:
            console.print()
            console.print(_text(block.text, style="bold underline"))
        elif isinstance(block, parts.Text) and block.style == "commands":
            console.print(_text(indent(block.text, "  "), style="bold"), soft_wrap=True)
        elif isinstance(block, parts.Text):
            console.print(_text(block.text, style="bold yellow" if block.style == "loud" else ""))
        elif isinstance(block, parts.Table) and not block.folded:
            for part in _fitting(block, console.width):
                console.print()
                console.print(_table(part))
            for note in block.notes:
                console.print(_text(note, style="dim"))


def _fitting(block: parts.Table, width: int) -> list[parts.Table]:
    """The table as several, each with the columns of words and as many others as there is room."""
    cells = zip(block.header, *block.rows, strict=True)
    texts = [[name, *(x.text for cell in column for x in cell)] for name, *column in cells]
    wide = [2 + min(_PROSE, max(map(len, column))) for column in texts]
    room, words = width - 1 - sum(wide[: block.texts]), range(block.texts)
    cuts: list[list[int]] = [[]]
    for column in range(block.texts, len(wide)):
        if cuts[-1] and sum(wide[i] for i in cuts[-1]) + wide[column] > room:
            cuts.append([])
        cuts[-1].append(column)
    return [
        replace(
            block,
            header=[block.header[i] for i in (*words, *cut)],
            rows=[[row[i] for i in (*words, *cut)] for row in block.rows],
            title=block.title + " (continued)" * (cut is not cuts[0]),
        )
        for cut in cuts
    ]


def _table(block: parts.Table) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    # Text: a name with [brackets] is no markup.
    table = Table(
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        title=_text(block.title, style="bold") if block.title else None,
        title_justify="left",
        show_lines=any(len(cell) > 1 for row in block.rows for cell in row[1 : block.texts]),
    )
    for column, name in enumerate(block.header):
        justify = "left" if column < block.texts else "right"
        table.add_column(_text(name), justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in block.rows:
        cells = [_text("\n").join(_text(x.text, style=_STYLES[x.kind]) for x in c) for c in row]
        table.add_row(*cells, end_section=max(map(len, row)) > 2)
    return table


def _text(text: str, style: str = "") -> Text:
    """Other people's names and notes, which the terminal shall not obey."""
    from rich.text import Text

    return Text(shown(text), style)
