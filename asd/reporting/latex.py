"""The tables as LaTeX, for a paper: needs ``\\usepackage{booktabs}``."""

from __future__ import annotations

from asd.reporting import document as doc

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "<": r"$<$",
    ">": r"$>$",
}


def tables(blocks: list[doc.Block]) -> str:
    """Every table of numbers as a ``table*`` environment; texts, claims and figures are left out.

    A cell of several lines takes several lines of the table, smaller from the second on.
    """
    made = [_table(b) for b in blocks if isinstance(b, doc.Table) and b.texts == 1]
    head = "% \\usepackage{booktabs} in the preamble; each table is a float of its own.\n"
    return head + "\n".join(made)


def escape(text: str) -> str:
    """A text with what is special to LaTeX made harmless; a leading minus becomes a true one."""
    if text[:1] == "-" and len(text) > 1 and text[1].isdigit():
        return "$-$" + text[1:]
    return "".join(_SPECIAL.get(character, character) for character in text)


def _table(block: doc.Table) -> str:
    columns = len(block.header)
    lines = [
        r"\begin{table*}[t]",
        r"\centering",
        rf"\caption{{{escape(' '.join([block.title + '.', *block.notes]))}}}",
        rf"\begin{{tabular}}{{{'l' * block.texts}{'r' * (columns - block.texts)}}}",
        r"\toprule",
        _row([escape(name) for name in block.header]),
        r"\midrule",
    ]
    for number, row in enumerate(block.rows):
        deep = max(len(cell) for cell in row)
        if number and deep > 1:
            lines.append(r"\addlinespace")
        for i in range(deep):
            lines.append(_row([_line(cell, i) for cell in row]))
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table*}", ""]
    return "\n".join(lines)


def _row(cells: list[str]) -> str:
    # A row that begins with a bracket would be read as an option of the row before.
    return " & ".join(f"{{}}{c}" if c.startswith("[") else c for c in cells) + r" \\"


def _line(cell: doc.CellLines, i: int) -> str:
    if i >= len(cell):
        return ""
    text = escape(cell[i].text)
    return rf"{{\scriptsize {text}}}" if i else text
