"""The pictures of a report: of the grid, and of each system's first training."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from asd.documents.blocks import Block, Figure, Heading, Text
from asd.pictures.grid_pictures import heat_maps, option_curves, overview, trade_off
from asd.pictures.run_pictures import FOLDER
from asd.reporting.bootstrap import COMPARED
from asd.reporting.factors import level, level_text, numeric
from asd.reporting.results import grid
from asd.reporting.runs import Run
from asd.reporting.sections import Section
from asd.scoring.tables import NAMES

# By the kind of a run's picture, in the report's order.
_CAPTIONS = {
    "roc": "ROC by machine ID; the range of pAUC is shaded",
    "scores": "anomaly scores of normals and anomalies by machine ID",
    "training": "losses and learning rate by epoch",
    "clips": "input, reconstruction and squared error of the median normal and the most anomalous "
    "clip",
}


def section_figures(section: Section, folder: Path) -> list[Block]:
    """Draw a section's pictures into ``folder``, and find those of its runs.

    Raises:
        AsdError: a picture cannot be written.
    """
    blocks: list[Block] = [Heading("Pictures", 3)]
    for draw in (_factors, _overviews, _costs):
        blocks += draw(section, folder)
    # Of many settings those of the best; the others' are in their run folders.
    best = section.factors and section.best("auc")
    bare = []
    for label in [best] if best else section.systems:
        run = section.systems[label].runs[0]
        blocks += (figures := _run_figures(label, run))
        bare += [run.folder.name] * (not figures)
    if bare:
        more = f" and {len(bare) - 1} more have" * (len(bare) > 1) or " has"
        said = "no pictures; the command in its run.json, started alone, draws them"
        blocks.append(Text(f"{bare[0]}{more} {said}"))
    return blocks


def _overviews(section: Section, folder: Path) -> list[Figure]:
    figures = []
    names = {row.label: row.marked for row in section.rows}
    for metric in COMPARED:
        frame = grid(section, metric).replace({"system": names}).dropna(subset="mean")
        if not section.comparable:
            frame["published"] = math.nan
        title = f"{NAMES[metric]} by machine type. {section.label}"
        if len(frame):
            overview(frame, NAMES[metric], title, path := folder / f"overview_{metric}.png")
            caption = f"{title}. Dots: means over trainings; lines: intervals."
            caption += " *: see the tables' notes." * any(n.endswith("*") for n in names.values())
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
    title, path = f"{', '.join(names)}. {section.label}", folder / "options.png"
    means = {NAMES[metric]: grid(section, metric).query("machine == 'mean'") for metric in COMPARED}
    if len(names) == 1 and numeric([of for (of,) in at.values()]):
        values = {row: of for row, (of,) in at.items()}
        curves = {name: of.assign(value=of["system"].map(values)) for name, of in means.items()}
        option_curves(curves, names[0], title, path)
        said = "Mean over machine types; band: the table's interval; crosses: single trainings."
    elif len(names) == 2:
        levels = pd.MultiIndex.from_tuples([tuple(map(level_text, of)) for of in at.values()])
        maps = {name: of.set_axis(levels)["mean"].groupby(level=[0, 1]).last().unstack()
                for name, of in means.items()}  # fmt: skip
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


def _run_figures(label: str, run: Run) -> list[Figure]:
    """What the run has in its folder."""
    ours, figures = f"{label}, seed {run.seed}", []
    for kind, caption in _CAPTIONS.items():
        for file in sorted((run.folder / FOLDER).glob(f"{kind}*.png")):
            machine = file.stem.partition("_")[2]
            said = f"{ours}, {run.record['data_label']}: {caption}" + f": {machine}" * bool(machine)
            figures.append(Figure(file, said, folded=f"{ours}: pictures"))
    return figures
