"""How all pictures look. Colours are Okabe and Ito's, which colour-blind readers tell apart; no
picture tells things apart by colour alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asd.errors import AsdError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito, Color Universal Design, 2008.
BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, YELLOW, BLACK, GREY = "#CC79A7", "#56B4E9", "#F0E442", "#000000", "#7f7f7f"
_CYCLE = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK)
_MARKERS = ("o", "^", "s", "D", "v", "P", "X")
_LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 3)))
_DPI = 110
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


def look(number: int) -> tuple[str, str, Any]:
    """Colour, marker and line style of the things in a picture, by their number; seven differ."""
    return _CYCLE[number % 7], _MARKERS[number % 7], _LINES[number % 7]


@contextmanager
def panels(
    path: Path,
    count: int,
    size: tuple[float, float],
    title: str,
    *,
    columns: int | None = None,
    left: float = 0.75,
    right: float = 0.2,
    bottom: float = 0.62,
    gap: tuple[float, float] = (0.62, 0.78),
    below: str = "",
    beside: str = "",
) -> Iterator[list[Axes]]:
    """The axes of a figure, row by row, in our look; a PNG at the block's end (else ``AsdError``).

    Margins are fixed, since matplotlib's layout engines take longer than the drawing.

    Args:
        size: of one panel's axes in inches, as are the margins left, right and bottom of all, and
            the gap between panels, across and down.
        columns: in a row; None: three at most.
        below, beside: one label for the x axes of all panels, and for the y axes.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    columns = columns or (2 if count == 4 else min(count, 3))
    rows, top = -(-count // columns), 0.72
    width = left + right + columns * size[0] + (columns - 1) * gap[0]
    height = top + bottom + rows * size[1] + (rows - 1) * gap[1]
    with mpl.rc_context(_RC):
        # No pyplot: it would keep every figure, and pick a backend with windows.
        figure = Figure((width, height))
        figure.subplots_adjust(
            left / width, bottom / height, 1 - right / width, 1 - top / height,
            gap[0] / size[0], gap[1] / size[1],
        )  # fmt: skip
        axes = [figure.add_subplot(rows, columns, number + 1) for number in range(count)]
        figure.suptitle(
            title, fontsize=11.5, fontweight="bold", x=0.12 / width, y=1 - 0.12 / height,
            ha="left", va="top",
        )  # fmt: skip
        figure.text(0.5, 0.1 / height, below, ha="center", va="bottom")
        figure.text(0.1 / width, 0.5, beside, ha="left", va="center", rotation=90)
        yield axes
        for text in figure.findobj(Text):  # names are no formulas; ticks, named when drawn, may be
            text.set_parse_math(not text.get_text())
        # Without the version of matplotlib in it, the same data gives the same bytes.
        # Compressing harder takes three times as long for a tenth of the size.
        pil = {"compress_level": 3}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, dpi=_DPI, metadata={"Software": None}, pil_kwargs=pil)
        except (OSError, ValueError) as error:  # the latter of a format that is none
            raise AsdError(f"{path}: cannot be written: {error}") from error
