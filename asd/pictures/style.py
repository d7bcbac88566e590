"""How all pictures look. Colours are Okabe and Ito's, which colour-blind readers tell apart; no
picture tells things apart by colour alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

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
# Inches around the panels and between them. Fixed, since matplotlib's layout engines take longer
# than the drawing; a picture says what it needs more of.
LEFT, RIGHT, TOP, BOTTOM = 0.75, 0.2, 0.72, 0.62
GAP_X, GAP_Y = 0.62, 0.78
_RC: dict[Any, Any] = {
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e7eb",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "legend.frameon": True,
    "legend.edgecolor": "white",
    "legend.framealpha": 0.85,
    "legend.fontsize": 8.5,
    "legend.title_fontsize": 8,
    "legend.borderpad": 0.2,
}
P = ParamSpec("P")
T = TypeVar("T")


def styled(draw: Callable[P, T]) -> Callable[P, T]:
    """A drawing function whose pictures have this look; what others draw keeps theirs."""

    @wraps(draw)
    def inner(*args: P.args, **kwargs: P.kwargs) -> T:
        import matplotlib as mpl

        with mpl.rc_context(_RC):
            return draw(*args, **kwargs)

    return inner


def panels(
    rows: int,
    columns: int,
    size: tuple[float, float],
    title: str,
    left: float = LEFT,
    right: float = RIGHT,
    bottom: float = BOTTOM,
    gap: tuple[float, float] = (GAP_X, GAP_Y),
) -> tuple[Figure, list[Axes]]:
    """A figure with a grid of axes, row by row.

    Args:
        rows, columns: of the grid.
        size: of one panel's axes in inches.
        title: of the figure; says what the data is.
        left, right, bottom: inches around the panels.
        gap: inches between them, across and down.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width = left + right + columns * size[0] + (columns - 1) * gap[0]
    height = TOP + bottom + rows * size[1] + (rows - 1) * gap[1]
    # No pyplot: it would keep every figure, and pick a backend with windows.
    figure = Figure((width, height))
    FigureCanvasAgg(figure)
    axes = figure.subplots(
        rows, columns, squeeze=False,
        gridspec_kw={
            "left": left / width, "right": 1 - right / width,
            "bottom": bottom / height, "top": 1 - TOP / height,
            "wspace": gap[0] / size[0], "hspace": gap[1] / size[1],
        },
    )  # fmt: skip
    figure.suptitle(
        title, fontsize=11.5, fontweight="bold", x=0.12 / width, y=1 - 0.12 / height, ha="left",
        va="top",
    )  # fmt: skip
    return figure, list(axes.ravel())


def below(figure: Figure, text: str) -> None:
    """One label for the x axes of all panels."""
    height = figure.get_size_inches()[1]
    figure.text(0.5, 0.1 / height, text, ha="center", va="bottom")


def beside(figure: Figure, text: str) -> None:
    """One label for the y axes of all panels."""
    width = figure.get_size_inches()[0]
    figure.text(0.1 / width, 0.5, text, ha="left", va="center", rotation=90)


def grid_shape(count: int) -> tuple[int, int]:
    """Rows and columns for so many panels: three a row at most."""
    columns = 2 if count == 4 else min(count, 3)
    return -(-count // columns), columns


def save(figure: Figure, path: Path) -> Path:
    """Write a PNG and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the version of matplotlib in it, the same data gives the same bytes.
    # Compressing harder takes three times as long for a tenth of the size.
    pil = {"compress_level": 3}
    figure.savefig(path, dpi=DPI, metadata={"Software": None}, pil_kwargs=pil)
    return path
