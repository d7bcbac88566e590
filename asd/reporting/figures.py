"""The pictures of a report: of the grid, and of each system's first training."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from asd.errors import AsdError
from asd.pictures.examples import PictureOptions
from asd.pictures.grid_pictures import AlphaPoint, Point, alpha_curves, differences, overview
from asd.pictures.run_pictures import FOLDER, run_pictures
from asd.reporting.bootstrap import MEAN
from asd.reporting.content import loud_title
from asd.reporting.declaration import alpha_of
from asd.reporting.document import Block, Figure, Heading, Text
from asd.reporting.grid import Cell
from asd.reporting.runs import Run
from asd.reporting.sections import COMPARED, Section
from asd.scoring.tables import NAMES

_CAPTIONS = {
    "roc": "ROC by machine ID; the range of pAUC is shaded",
    "scores": "anomaly scores of normals and anomalies by machine ID",
    "training": "losses and learning rate by epoch",
    "embedding": "the bottleneck of the test clips in two dimensions",
    "clips": "input, reconstruction and squared error of the median normal and the most anomalous "
    "clip",
}


def section_figures(section: Section, folder: Path, options: PictureOptions) -> list[Block]:
    """Draw a section's pictures.

    Args:
        section: whose.
        folder: for the PNGs.
        options: of the runs' pictures.

    Raises:
        AsdError: a picture cannot be written.
    """
    if not section.systems:
        return []
    label = loud_title(section)
    made = [*_overviews(section, folder, label), *_differences(section, folder, label)]
    made += _alpha(section, folder, label)
    blocks: list[Block] = [Heading("Pictures", 3), *made]
    blocks += [b for s in section.systems.values() for b in _of_run(s.label, s.runs[0], options,
                                                                    folder)]  # fmt: skip
    return blocks


def _overviews(section: Section, folder: Path, label: str) -> list[Block]:
    made: list[Block] = []
    for metric in COMPARED:
        grid = section.grids[metric]
        panels = {
            machine: [
                _point(row.label, row.cells[machine], grid.comparable)
                for row in grid.rows
                if not row.cells[machine].missing
            ]
            for machine in (*grid.columns, MEAN)
        }
        title = f"{NAMES[metric]} by machine type. {label}"
        path = overview(panels, NAMES[metric], title, folder / f"overview_{metric}.png")
        if path:
            made.append(Figure(path, f"{title}. Dots: means over trainings; lines: intervals."))
    return made


def _differences(section: Section, folder: Path, label: str) -> list[Block]:
    made: list[Block] = []
    for c in section.comparisons:
        points = [Point(d.where, d.value, d.low, d.high) for d in c.rows]
        axis = f"{NAMES[c.metric]} of {c.a} minus {c.b}"
        name = f"difference_{_plain(c.a)}_{_plain(c.b)}_{c.metric}.png"
        path = differences(points, f"{c.a} against {c.b}. {label}", axis, folder / name)
        made.append(Figure(path, f"{axis}: paired differences with their intervals. {label}"))
    return made


def _alpha(section: Section, folder: Path, label: str) -> list[Block]:
    panels = {}
    for metric in COMPARED:
        grid = section.grids[metric]
        panels[NAMES[metric]] = [
            AlphaPoint(
                alpha,
                None if row.cells[MEAN].missing else _point(row.label, row.cells[MEAN], False),
                row.cells[MEAN].published,
            )
            for row in grid.rows
            if (alpha := alpha_of(row.label)) is not None
        ]
    paper = "paper, published" if section.comparable else "paper, published (REAL data)"
    title = f"Weight of the reconstruction. Ours: {label}"
    path = alpha_curves(panels, title, paper, folder / "alpha.png")
    if path is None:
        return []
    apart = "" if section.comparable else " The two are of different data; only shapes compare."
    return [Figure(path, f"Alpha against the mean over machine types. Ours: {label}.{apart}")]


def _of_run(label: str, run: Run, options: PictureOptions, folder: Path) -> list[Block]:
    """The run's own pictures where it has them, else drawn from its files."""
    there = sorted((run.folder / FOLDER).glob("*.png"))
    try:
        files = there or run_pictures(run.folder, options, folder / _plain(run.name))
    except AsdError as error:
        return [Text(f"{label}: no pictures: {error}")]
    order = list(_CAPTIONS)
    files = sorted(files, key=lambda f: (order.index(_kind(f)), f.name) if _kind(f) in order
                   else (len(order), f.name))  # fmt: skip
    folded = f"{label}, seed {run.seed}: {len(files)} pictures"
    made: list[Block] = []
    for file in files:
        machine = file.stem.partition("_")[2]
        told = _CAPTIONS.get(_kind(file), file.stem) + (f": {machine}" if machine else "")
        made.append(Figure(file, f"{label}, seed {run.seed}, {run.data_label}: {told}", folded))
    return made


def _kind(file: Path) -> str:
    return file.stem.partition("_")[0]


def _point(name: str, cell: Cell, comparable: bool) -> Point:
    values = tuple(float(v) for v in cell.values if not np.isnan(v))
    published = cell.published if comparable else None
    return Point(name, cell.mean, cell.low, cell.high, values, published)


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)
