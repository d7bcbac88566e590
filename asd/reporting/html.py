"""A report as one HTML page that needs nothing else: style and pictures are inside."""

from __future__ import annotations

import base64
from html import escape
from importlib.resources import files
from itertools import groupby

from asd.errors import AsdError
from asd.reporting import document as doc


def page(blocks: list[doc.Block], title: str) -> str:
    """All blocks as a page.

    Raises:
        AsdError: a picture cannot be read.
    """
    style = (files("asd.reporting") / "page.css").read_text(encoding="utf-8")
    body: list[str] = []
    links: list[tuple[str, str]] = []
    for folded, group in groupby(blocks, key=_folded):
        parts = []
        for block in group:
            if isinstance(block, doc.Heading) and block.level > 1:
                links.append((f"s{len(links)}", block.text))
                tag = f"h{block.level}"
                parts.append(f'<{tag} id="{links[-1][0]}">{escape(block.text)}</{tag}>')
            else:
                parts.append(_block(block))
        inside = "\n".join(parts)
        if folded:
            inside = f"<details><summary>{escape(folded)}</summary>\n{inside}\n</details>"
        body.append(inside)
    anchors = "".join(f'<a href="#{key}">{escape(text)}</a>' for key, text in links)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<nav>{anchors}</nav>\n<main>\n" + "\n".join(body) + "\n</main>\n</body>\n</html>\n"
    )


def _folded(block: doc.Block) -> str:
    return block.folded if isinstance(block, doc.Figure | doc.Table) else ""


def _block(block: doc.Block) -> str:
    if isinstance(block, doc.Heading):
        return f"<h{block.level}>{escape(block.text)}</h{block.level}>"
    if isinstance(block, doc.Text):
        return f"<p{' class=loud' if block.loud else ''}>{escape(block.text)}</p>"
    if isinstance(block, doc.Commands):
        return f"<pre>{escape(chr(10).join(block.lines))}</pre>"
    if isinstance(block, doc.Table):
        return _table(block)
    return _figure(block)


def _table(block: doc.Table) -> str:
    def tag(column: int) -> str:
        return ' class="words"' if column < block.texts else ""

    head = "".join(f"<th{tag(i)}>{escape(name)}</th>" for i, name in enumerate(block.header))
    rows = []
    for row in block.rows:
        cells = []
        for i, cell in enumerate(row):
            lines = "".join(f'<span class="{x.kind}">{escape(x.text)}</span>' for x in cell)
            cells.append(f"<td{tag(i)}>{lines}</td>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    kind = ' class="prose"' if block.texts > 1 else ""
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in block.notes)
    body = "\n".join(rows)
    return (
        f'<h4>{escape(block.title)}</h4>\n<div class="scroll"><table{kind}>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>\n{notes}"
    )


def _figure(block: doc.Figure) -> str:
    try:
        data = base64.b64encode(block.path.read_bytes()).decode("ascii")
    except OSError as error:
        raise AsdError(f"{block.path}: cannot be read: {error.strerror}") from error
    caption = escape(block.caption)
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )
