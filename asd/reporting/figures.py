"""The pictures of a report: of the grid, and of each system's first training."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from asd.documents.blocks import Block, Figure, Heading, Text
from asd.errors import AsdError
from asd.pictures.examples import PictureOptions
from asd.pictures.grid_pictures import AlphaPoint, Point, alpha_curves, differences, overview
from asd.pictures.run_pictures import FOLDER, run_pictures
from asd.reporting.bootstrap import MEAN
from asd.reporting.content import grid, loud_title
from asd.reporting.declaration import alpha_of
from asd.reporting.results import COMPARED, records
from asd.reporting.runs import Run
from asd.reporting.sections import Section
from asd.scoring.tables import NAMES

_CAPTIONS = {
    "roc": "ROC by machine ID; the range of pAUC is shaded",
    "scores": "anomaly scores of normals and anomalies by machine ID",
    "training": "losses and learning rate by epoch",
    "embedding": "the bottleneck of the test clips in two dimensions",
    "clips": "input, reconstruction and squared error of the median normal and the most anomalous "
    "clip",
}


def section_figures(section: Section, folder: Path, projection: str) -> list[Block]:
    """Draw a section's pictures.

    Args:
        section: whose.
        folder: for the PNGs.
        projection: of the bottleneck in the runs' pictures.

    Raises:
        AsdError: a picture cannot be written.
    """
    if not section.systems:
        return []
    blocks: list[Block] = [Heading("Pictures", 3)]
    try:
        for draw in (_overviews, _differences, _alpha):
            blocks += draw(section, folder)
        for system in section.systems.values():
            options = PictureOptions.configured(projection=projection)
            blocks += _run_figures(system.label, system.runs[0], options, folder)
    except OSError as error:
        raise AsdError(f"{folder}: {error.strerror}; choose another --out") from error
    return blocks


def _overviews(section: Section, folder: Path) -> list[Figure]:
    figures = []
    for metric in COMPARED:
        frame = grid(section, metric)
        panels = {
            str(machine): [_point(c, section.comparable) for c in records(cells) if c.n]
            for machine, cells in frame.groupby("machine", sort=False)
        }
        title = f"{NAMES[metric]} by machine type. {loud_title(section)}"
        path = overview(panels, NAMES[metric], title, folder / f"overview_{metric}.png")
        if path:
            caption = f"{title}. Dots: means over trainings; lines: intervals."
            figures.append(Figure(path, caption))
    return figures


def _differences(section: Section, folder: Path) -> list[Figure]:
    figures = []
    label = loud_title(section)
    for comparison in section.comparisons:
        rows = records(comparison[comparison["reason"] == ""])
        points = [Point(r.machine, r.difference, r.difference_low, r.difference_high) for r in rows]
        metric, a, b = rows[0].metric, rows[0].a, rows[0].b
        axis = f"{NAMES[metric]} of {a} minus {b}"
        path = folder / f"difference_{_plain(a)}_{_plain(b)}_{metric}.png"
        differences(points, f"{a} against {b}. {label}", axis, path)
        figures.append(Figure(path, f"{axis}: paired differences with their intervals. {label}"))
    return figures


def _alpha(section: Section, folder: Path) -> list[Figure]:
    panels = {}
    for metric in COMPARED:
        frame = grid(section, metric)
        panels[NAMES[metric]] = [
            AlphaPoint(alpha, _point(c, False) if c.n else None, _known(c.published))
            for c in records(frame[frame["machine"] == MEAN])
            if (alpha := alpha_of(str(c.system))) is not None
        ]
    paper = "paper, published" if section.comparable else "paper, published (REAL data)"
    title = f"Weight of the reconstruction. Ours: {loud_title(section)}"
    path = alpha_curves(panels, title, paper, folder / "alpha.png")
    apart = "" if section.comparable else " The two are of different data; only shapes compare."
    caption = f"Alpha against the mean over machine types. Ours: {loud_title(section)}.{apart}"
    return [Figure(path, caption)] if path else []


def _run_figures(label: str, run: Run, options: PictureOptions, folder: Path) -> list[Block]:
    """The run's own pictures where it has them, else drawn from its files."""
    files = sorted((run.folder / FOLDER).glob("*.png"))
    try:
        files = files or run_pictures(run.folder, options, folder / _plain(run.folder.name))
    except AsdError as error:
        return [Text(f"{label}: no pictures: {error}")]
    order = [*_CAPTIONS, *(_kind(file) for file in files)]
    figures: list[Block] = []
    for file in sorted(files, key=lambda file: (order.index(_kind(file)), file.name)):
        kind, _, machine = file.stem.partition("_")
        caption = _CAPTIONS.get(kind, file.stem) + (f": {machine}" if machine else "")
        caption = f"{label}, seed {run.seed}, {run.data_label}: {caption}"
        figures.append(Figure(file, caption, f"{label}, seed {run.seed}: {len(files)} pictures"))
    return figures


def _kind(file: Path) -> str:
    return file.stem.partition("_")[0]


def _point(cell: Any, comparable: bool) -> Point:
    values = tuple(float(v) for v in cell.values if v == v)
    published = _known(cell.published) if comparable else None
    return Point(cell.system, cell.mean, cell.low, cell.high, values, published)


def _known(value: float) -> float | None:
    return value if value == value else None


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)
