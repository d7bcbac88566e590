"""A report for the terminal, with rich."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asd.reporting import document as doc

if TYPE_CHECKING:
    from rich.console import Console

MIN_WIDTH = 136
_STYLES = {
    doc.VALUE: "bold",
    doc.INTERVAL: "dim",
    doc.PUBLISHED: "cyan",
    doc.DIFFERENCE: "magenta",
    doc.MISSING: "yellow",
    doc.GOOD: "bold green",
    doc.BAD: "bold red",
    doc.TEXT: "",
}


def show(blocks: list[doc.Block], console: Console) -> None:
    """Print all blocks; figures as the names of their files."""
    from rich.rule import Rule
    from rich.text import Text

    figures = 0
    for block in blocks:
        if isinstance(block, doc.Heading):
            if block.level < 3:
                console.print()
                console.print(Rule(Text(block.text, style="bold"), align="left"))
        elif isinstance(block, doc.Text):
            console.print(Text(block.text, style="bold yellow" if block.loud else ""))
        elif isinstance(block, doc.Commands):
            for line in block.lines:
                console.print(Text("  " + line, style="bold"), soft_wrap=True)
        elif isinstance(block, doc.Table):
            _table(block, console)
        else:
            figures += 1
    if figures:
        console.print(Text(f"\n{figures} pictures: see the HTML page"))


def _table(block: doc.Table, console: Console) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    numbers = block.texts == 1
    table = Table(
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        title=Text(block.title, style="bold"),
        title_justify="left",
        show_lines=not numbers,
    )
    for column, name in enumerate(block.header):
        words = column < block.texts
        justify = "left" if words else "right"
        table.add_column(Text(name), justify=justify, no_wrap=numbers)  # type: ignore[arg-type]
    for cells in block.rows:
        deep = max(len(cell) for cell in cells) > 2 and numbers
        made = [Text("\n").join(Text(x.text, style=_STYLES[x.kind]) for x in c) for c in cells]
        table.add_row(*made, end_section=deep)
    console.print()
    console.print(table)
    for note in block.notes:
        console.print(Text(note, style="dim"))
