"""How all pictures look. Colours are Okabe and Ito's, which colour-blind readers tell apart; no
picture tells things apart by colour alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito, Color Universal Design, 2008.
BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, YELLOW, BLACK = "#CC79A7", "#56B4E9", "#F0E442", "#000000"
CYCLE = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK)
MARKERS = ("o", "^", "s", "D", "v", "P", "X")
LINES: tuple[str | tuple[int, tuple[int, ...]], ...] = (
    "-",
    "--",
    "-.",
    ":",
    (0, (5, 1, 1, 1, 1, 1)),
    (0, (8, 2)),
    (0, (1, 3)),
)
NORMAL, ANOMALY, UNKNOWN = (BLUE, "o"), (VERMILLION, "^"), ("#7f7f7f", "s")
OF_LABEL = {0: ("normal", *NORMAL), 1: ("anomaly", *ANOMALY), -1: ("label not known", *UNKNOWN)}
DPI = 110
_RC = {
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e7eb",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
}


def panels(
    rows: int, columns: int, size: tuple[float, float], title: str, share_y: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure with a grid of axes, row by row.

    Args:
        rows, columns: of the grid.
        size: of one panel in inches.
        title: of the figure; says what the data is.
        share_y: whether all panels have one vertical axis.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # No pyplot: it would keep every figure, and pick a backend with windows.
    with mpl.rc_context(_RC):
        figure = Figure((size[0] * columns, size[1] * rows + 0.5), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, columns, squeeze=False, sharey=share_y)
    figure.suptitle(title, fontsize=11.5, fontweight="bold", x=0.01, ha="left")
    return figure, list(axes.ravel())


def grid_shape(count: int) -> tuple[int, int]:
    """Rows and columns for so many panels: three a row at most."""
    columns = min(count, 3)
    return -(-count // columns), columns


def save(figure: Figure, path: Path) -> Path:
    """Write a PNG and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the version of matplotlib in it, the same data gives the same bytes.
    figure.savefig(path, dpi=DPI, metadata={"Software": None})
    return path
