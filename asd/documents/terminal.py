"""A document for the terminal, with rich."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from textwrap import indent
from typing import TYPE_CHECKING

from asd.documents import blocks as parts
from asd.errors import shown

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_PIPED = 120  # columns where the output is no terminal
_STYLES: dict[parts.Kind, str] = {
    "value": "bold", "interval": "dim", "published": "cyan", "difference": "magenta",
    "missing": "yellow", "good": "bold green", "bad": "bold red", "text": "",
}  # fmt: skip


def open_console(least: int = 0) -> Console:
    """The terminal, at least ``least`` columns wide; a character it lacks becomes a mark."""
    from rich.console import Console

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    console = Console(highlight=False)
    console.width = max(console.width if sys.stdout.isatty() else _PIPED, least)
    return console


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
            console.print()
            console.print(_table(block))
            for note in block.notes:
                console.print(_text(note, style="dim"))


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
