"""A report as a Markdown page."""

from __future__ import annotations

from pathlib import Path

from asd.reporting import document as doc


def page(blocks: list[doc.Block], folder: Path) -> str:
    """All blocks; figures are linked relative to ``folder``, where the page will stand."""
    parts = []
    for block in blocks:
        if isinstance(block, doc.Heading):
            parts.append(f"{'#' * block.level} {_cell(block.text)}")
        elif isinstance(block, doc.Text):
            parts.append(f"**{_cell(block.text)}**" if block.loud else _cell(block.text))
        elif isinstance(block, doc.Commands):
            parts.append("\n".join(["```", *block.lines, "```"]))
        elif isinstance(block, doc.Table):
            parts.append(_table(block))
        else:
            caption = _cell(block.caption)
            parts.append(f"![{caption}]({_link(block.path, folder)})\n\n{caption}")
    return "\n\n".join(parts) + "\n"


def _table(block: doc.Table) -> str:
    rule = ["---" if column < block.texts else "---:" for column in range(len(block.header))]
    rows = [[_cell(name) for name in block.header], rule]
    rows += [["<br>".join(_cell(line.text) for line in cell) for cell in row] for row in block.rows]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    notes = ["", *(_cell(note) for note in block.notes)] if block.notes else []
    return "\n".join([f"#### {_cell(block.title)}", "", *lines, *notes])


def _cell(text: str) -> str:
    """One line, with what Markdown would take for markup made harmless."""
    text = " ".join(text.split())
    for character in "\\|<>*`":
        text = text.replace(character, "\\" + character)
    return text


def _link(path: Path, folder: Path) -> str:
    try:
        inside = path.resolve().relative_to(folder.resolve())
    except ValueError:
        return path.resolve().as_uri()
    return inside.as_posix().replace(" ", "%20")
