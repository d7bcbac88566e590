"""Documents as HTML, Markdown and LaTeX (the templates beside this), and data frames as CSV."""

from __future__ import annotations

import base64
import functools
import os
import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from asd.documents.blocks import Block, Table

if TYPE_CHECKING:
    import pandas as pd
    from jinja2 import Environment

_LATEX = str.maketrans({
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "±": r"$\pm$", "<": "$<$", ">": "$>$", **{c: "\\" + c for c in "&%$#_{}"},
})  # fmt: skip
# Entities, since not every renderer (MLflow's) knows an escaped "<"; "](" would be a link.
_MARKDOWN = str.maketrans({"<": "&lt;", ">": "&gt;", **{c: "\\" + c for c in "\\|*`"}})
# A spreadsheet takes a text that begins so for a formula, unless it is a number or some of them.
_FORMULA = re.compile(r"(?![-+]?[\d.][\d.eE +-]*$)[=+\-@\t\r\n＝＋－＠]")


def html(blocks: Sequence[Block]) -> str:
    """All blocks, the title first, as one page that needs nothing else: pictures are inside."""
    groups = [(folded, list(group)) for folded, group in groupby(blocks, lambda b: b.folded)]
    return _environment("html").get_template("page.html.j2").render(groups=groups)


def markdown(blocks: Sequence[Block], folder: Path | None = None) -> str:
    """All blocks as a page; figures are linked relative to ``folder``, where it will stand."""
    page = _environment("md").get_template("page.md.j2")
    return page.render(blocks=blocks, folder=folder or Path())


def latex(blocks: Sequence[Block]) -> str:
    """Every table of numbers as a ``table*`` environment; texts, claims and figures are left out.

    A cell of several lines takes several lines of the table, smaller from the second on. A table
    wider than the page is scaled down to it, so that no box is overfull; the notes stand below it.
    """
    tables = [b for b in blocks if isinstance(b, Table) and b.texts == 1]
    return _environment("tex").get_template("tables.tex.j2").render(tables=tables)


def csv(frame: pd.DataFrame) -> str:
    """For people: numbers with six digits after the point; empty is what is not there."""
    return str(harmless(frame).to_csv(index=False, lineterminator="\n", float_format="%.6f"))


def harmless(frame: pd.DataFrame) -> pd.DataFrame:
    """With an apostrophe before each text or name of a column that a spreadsheet would compute."""

    def text(cell: Any) -> Any:
        return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell

    return frame.map(text).rename(columns=text)


def escape_latex(text: str) -> str:
    """A text with what is special to LaTeX made harmless; a leading minus becomes a true one."""
    if text[:1] == "-" and text[1:2].isdigit():
        return "$-$" + text[1:]
    return text.translate(_LATEX)


def escape_markdown(text: str) -> str:
    """One line, with what Markdown would take for markup made harmless."""
    return " ".join(text.split()).translate(_MARKDOWN).replace("](", "]\\(")


@functools.cache
def _environment(format: str) -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # Braces mean too much to LaTeX.
    braces = ("{%", "%}", "{{", "}}", "{#", "#}")
    environment = Environment(
        *(("<%", "%>", "<<", ">>", "<#", "#>") if format == "tex" else braces),
        loader=PackageLoader("asd.documents"),
        autoescape=format == "html",  # noqa: S701 (the others have the filters below)
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {
        "tex": escape_latex, "md": escape_markdown, "quoted": quote,
        "link": lambda path, folder: quote(Path(os.path.relpath(path, folder)).as_posix()),
        "content": lambda path: base64.b64encode(path.read_bytes()).decode("ascii"),
    }  # fmt: skip
    return environment
