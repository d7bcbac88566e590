"""The tables in a two-column article, by LaTeX itself where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from asd.documents import rendering
from asd.documents.blocks import Line, Table

ARTICLE = r"""\documentclass[twocolumn]{article}
\usepackage{booktabs,graphicx}
\begin{document}
See Table~\ref{tab:asd-1}.
\input{tables}
\end{document}
"""


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
@pytest.mark.parametrize("columns", [2, 7, 14])
def test_tables_compile_without_overfull_boxes(columns: int, tmp_path: Path) -> None:
    cells = [[Line("90.19 ± 0.77", "best"), Line("[85.2, 95.1]", "interval")]] * columns
    rows = [[[Line("U, learning_rate 0.003 & 50 %_#")], *cells]] * 3
    note = "Percent: mean ± standard deviation over n trainings; " * 8
    table = Table(["system", *["ToyConveyor"] * columns], rows, "AUC_in %", notes=[note])
    (tmp_path / "tables.tex").write_text(rendering.latex([table]))
    (tmp_path / "article.tex").write_text(ARTICLE)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "article.tex"]
    for _ in range(2):  # the second knows the labels
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
    assert "Overfull" not in done.stdout and "undefined" not in done.stdout
