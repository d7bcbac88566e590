"""A document for the terminal, with rich."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from asd.documents import blocks as parts

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

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
    from rich.rule import Rule
    from rich.text import Text

    for block in blocks:
        if isinstance(block, parts.Heading) and block.level < 3:
            console.print()
            title = Text(block.text, style="bold")
            fits = title.cell_len < console.width - 2  # a rule would cut it off
            console.print(Rule(title, align="left") if fits else title)
        elif isinstance(block, parts.Text):
            console.print(Text(block.text, style="bold yellow" if block.loud else ""))
        elif isinstance(block, parts.Commands):
            for line in block.lines:
                console.print(Text("  " + line, style="bold"), soft_wrap=True)
        elif isinstance(block, parts.Table) and not block.folded:
            console.print()
            console.print(_table(block))
            for note in block.notes:
                console.print(Text(note, style="dim"))


def _table(block: parts.Table) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    # Text: a name with [brackets] is no markup.
    table = Table(
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        title=Text(block.title, style="bold") if block.title else None,
        title_justify="left",
        show_lines=any(len(cell) > 1 for row in block.rows for cell in row[1 : block.texts]),
    )
    for column, name in enumerate(block.header):
        justify = "left" if column < block.texts else "right"
        table.add_column(Text(name), justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in block.rows:
        cells = [Text("\n").join(Text(x.text, style=_STYLES[x.kind]) for x in c) for c in row]
        table.add_row(*cells, end_section=max(map(len, row)) > 2)
    return table
