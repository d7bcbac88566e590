"""The pictures of a report: of the grid, and of each system's first training."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

from asd.documents.blocks import Block, Figure, Heading, Text
from asd.errors import AsdError
from asd.pictures.examples import PictureOptions
from asd.pictures.grid_pictures import (
    CurvePoint,
    Point,
    differences,
    heat_maps,
    option_curves,
    overview,
    trade_off,
)
from asd.pictures.run_pictures import FOLDER, run_pictures
from asd.reporting.bootstrap import COMPARED, MEAN
from asd.reporting.compare import NOT_DECIDABLE
from asd.reporting.content import grid
from asd.reporting.declaration import alpha_of
from asd.reporting.factors import level, level_text, numeric
from asd.reporting.runs import Run
from asd.reporting.sections import Section
from asd.scoring.tables import NAMES

# By the kind of a run's picture, in the report's order.
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
    options = PictureOptions.configured(projection=projection)
    blocks: list[Block] = [Heading("Pictures", 3)]
    try:
        for draw in (_factors, _overviews, _differences, _alpha, _costs):
            blocks += draw(section, folder)
        # Of many settings those of the best; the others' are in their run folders.
        one = section.factors and section.best("auc")
        for system in [section.systems[one]] if one else section.systems.values():
            blocks += _run_figures(system.label, system.runs[0], options, folder)
    except OSError as error:
        raise AsdError(f"{folder}: {error.strerror}; choose another --out") from error
    return blocks


def _overviews(section: Section, folder: Path) -> list[Figure]:
    figures = []
    names = {row.label: f"{row.label} {row.star}".strip() for row in section.rows}
    starred = any(row.star for row in section.rows)
    for metric in COMPARED:
        frame = grid(section, metric).replace({"system": names})
        panels = {
            str(machine): [_point(c, section.comparable) for c in cells.to_dict("records")]
            for machine, cells in frame[frame["n"] > 0].groupby("machine", sort=False)
        }
        title = f"{NAMES[metric]} by machine type. {section.label}"
        path = overview(panels, NAMES[metric], title, folder / f"overview_{metric}.png")
        if path:
            caption = f"{title}. Dots: means over trainings; lines: intervals."
            caption += " *: see the tables' notes." if starred else ""
            figures.append(Figure(path, caption))
    return figures


def _differences(section: Section, folder: Path) -> list[Figure]:
    figures = []
    for comparison in section.comparisons:
        rows = comparison[comparison["reason"] == ""].to_dict("records")
        points = [
            Point(
                r["machine"],
                r["difference"],
                r["difference_low"],
                r["difference_high"],
                decided=not r["verdict"].startswith(NOT_DECIDABLE),
            )
            for r in rows
        ]
        metric, a, b = (rows[0][name] for name in ("metric", "a", "b"))
        axis = f"{NAMES[metric]} of {a} minus {b}"
        path = folder / _plain(f"difference_{a}_{b}_{metric}.png")
        differences(points, f"{a} against {b}. {section.label}", axis, path)
        caption = f"{axis}: paired differences with their intervals. {section.label}"
        figures.append(Figure(path, caption))
    return figures


def _factors(section: Section, folder: Path) -> list[Figure]:
    """The figure against one or two options by which rows are told apart; of a search its own."""
    first = next(iter(section.systems.values())).runs[0]
    if section.factors and first.is_trial:
        study = first.tags["study"]
        files = sorted((first.folder.parent / "search" / study).glob("*.png"))
        return [Figure(file, f"{file.stem} of {study}. {section.label}") for file in files]
    names = section.factors
    at = {row: [level(of.runs[0], name) for name in names] for row, of in section.systems.items()}
    means = {
        NAMES[metric]: grid(section, metric).query("machine == @MEAN").to_dict("records")
        for metric in COMPARED
    }
    title, path = f"{', '.join(names)}. {section.label}", folder / "options.png"
    if len(names) == 1 and numeric([of for (of,) in at.values()]):
        panels = {
            name: [CurvePoint(at[cell["system"]][0], _point(cell, False)) for cell in cells]
            for name, cells in means.items()
        }
        option_curves(panels, names[0], title, path)
        said = "Mean over machine types; band: the table's interval; crosses: single trainings."
    elif len(names) == 2:
        maps = {
            name: {(*map(level_text, at[cell["system"]]),): cell["mean"] for cell in cells}
            for name, cells in means.items()
        }
        heat_maps(maps, names, title, path)
        said = "Mean over machine types and seeds."
    else:  # words have no distances: the overview shows them
        return []
    return [Figure(path, f"{title}. {said}")]


def _costs(section: Section, folder: Path) -> list[Figure]:
    known = section.costs.dropna(subset=["auc", "training_seconds"]).to_dict("records")
    if len(known) < 2 or not any(row["front"] for row in known):
        return []
    points = {row["system"]: (row["training_seconds"], 100 * row["auc"], row["front"])
              for row in known}  # fmt: skip
    title = f"Quality and cost. {section.label}"
    axes = "training, s (mean over seeds)", f"mean {NAMES['auc']}, %"
    trade_off(points, axes, title, path := folder / "costs.png")
    return [Figure(path, f"{title}. Training time against AUC, and the Pareto front.")]


def _alpha(section: Section, folder: Path) -> list[Figure]:
    panels = {}
    for metric in COMPARED:
        panels[NAMES[metric]] = [
            CurvePoint(alpha, _point(c, False) if c["n"] else None, _published(c))
            for c in grid(section, metric).to_dict("records")
            if c["machine"] == MEAN and (alpha := alpha_of(c["system"])) is not None
        ]
    paper = "paper, published" if section.comparable else "paper, published (REAL data)"
    title = f"Weight of the reconstruction. Ours: {section.label}"
    option = "alpha, weight of the reconstruction (1: U)"
    path = option_curves(panels, option, title, folder / "alpha.png", paper)
    apart = "" if section.comparable else " The paper's are of other data; only shapes compare."
    if all(point.published is None for points in panels.values() for point in points):
        apart = " The paper's mean is of other machine types, and left out."
    caption = f"Alpha against the mean over machine types. Ours: {section.label}.{apart}"
    return [Figure(path, caption)] if path else []


def _run_figures(label: str, run: Run, options: PictureOptions, folder: Path) -> list[Block]:
    """The run's own pictures where it has them, else drawn from its files."""
    files = sorted((run.folder / FOLDER).glob("*.png"))
    try:
        files = files or run_pictures(run.folder, options, folder / _plain(run.folder.name))
    except AsdError as error:
        return [Text(f"{label}: no pictures: {error}")]
    ours = f"{label}, seed {run.seed}"
    figures: list[Block] = []
    for kind in dict.fromkeys([*_CAPTIONS, *(file.stem.partition("_")[0] for file in files)]):
        for file in sorted(file for file in files if file.stem.partition("_")[0] == kind):
            caption = _CAPTIONS.get(kind, file.stem)
            caption += f": {machine}" if (machine := file.stem.partition("_")[2]) else ""
            caption = f"{ours}, {run.record['data_label']}: {caption}"
            figures.append(Figure(file, caption, folded=f"{ours}: {len(files)} pictures"))
    return figures


def _point(cell: dict[Any, Any], comparable: bool) -> Point:
    values = tuple(float(v) for v in cell["values"] if not math.isnan(v))
    figures = (cell["system"], cell["mean"], cell["low"], cell["high"])
    return Point(*figures, values, _published(cell) if comparable else None)


def _published(cell: dict[Any, Any]) -> float | None:
    return None if math.isnan(cell["published"]) else cell["published"]


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)
