"""The tables of a sweep, printed at its end from the scores of its runs."""

from __future__ import annotations

from asd.sweeps.cells import Cell

# Of ``python -m asd.report``, which also compares, draws and writes.
_VIEWS = ["auc", "pauc"]


def show_tables(name: str, cells: list[Cell]) -> None:
    """Print AUC and pAUC of the sweep's finished runs, and how to see more.

    Args:
        name: of the sweep, ``sweeps/<name>.yaml``.
        cells: its runs.

    Raises:
        AsdError: the sweep's file does not hold together.
    """
    from rich.console import Console

    from asd.reporting import terminal
    from asd.reporting.content import table_blocks
    from asd.reporting.declaration import declaration
    from asd.reporting.runs import collect
    from asd.reporting.sections import Options, sections

    folders = {cell.folder.path for cell in cells if cell.folder and cell.folder.scores.exists()}
    runs = collect(folders).runs
    if not runs:
        return
    blocks = []
    for section in sections(runs, declaration(name), Options()):
        blocks += table_blocks(section, _VIEWS)
    console = Console(highlight=False)
    console.width = max(console.width if console.is_terminal else 0, terminal.MIN_WIDTH)
    terminal.show(blocks, console)
    print(f"comparisons, pictures, files: python -m asd.report sweep={name}")
