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
    from asd.documents import terminal
    from asd.reporting.bootstrap import Resampling
    from asd.reporting.content import WIDTH, table_blocks
    from asd.reporting.declaration import declaration
    from asd.reporting.runs import collect
    from asd.reporting.sections import Section, corpora

    folders = {cell.folder.path for cell in cells if cell.folder and cell.folder.scores.exists()}
    runs = collect(folders).runs
    if not runs:
        return
    how = declaration(name), Resampling()
    parts = [Section(label, group, *how) for label, group in corpora(runs).items()]
    blocks = [block for part in parts for block in table_blocks(part, _VIEWS)]
    terminal.show(blocks, terminal.open_console(WIDTH))
    print(f"comparisons, pictures, files: python -m asd.report sweep={name}")
