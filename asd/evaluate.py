"""Metrics and tables of a run again, from its scores.csv alone: no model, no audio, no torch.

python -m asd.evaluate RUN_FOLDER_OR_SCORES_CSV... [--max-fpr 0.1] [--no-write]
python -m asd.evaluate RUN_FOLDER... --pictures
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from asd.errors import AsdError
from asd.exit_status import exit_status, program
from asd.experiment.run_folder import RunFolder
from asd.options import check_number

MAX_FPR = 0.1  # the paper's p, for a scores file whose run does not say


def _scores_file(target: Path) -> Path:
    if not target.is_dir():
        return target
    if not (target / "scores.csv").is_file():
        raise AsdError(f"{target}: no scores.csv in this folder; is it a finished run's folder?")
    return target / "scores.csv"


def evaluate(targets: list[Path], max_fpr: float | None, write: bool) -> None:
    """Compute, write and print the tables of each target; nothing is written if one is invalid.

    What the run.json beside a scores.csv does not say is the file's name, "data not stated" and
    the paper's p.

    Args:
        targets: runs' folders, or scores files.
        max_fpr: p of the partial AUC; None: the runs' own.
        write: whether to write them, beside the scores.

    Raises:
        AsdError: a target is missing or invalid, or the tables cannot be written.
    """
    from asd.scoring.clip_scores import read_scores
    from asd.scoring.metrics import Metrics, evaluate_scores
    from asd.scoring.tables import remarks, show, write_tables

    tables: list[tuple[Path, tuple[Metrics, str, str], dict[str, Any]]] = []
    for file in map(_scores_file, targets):
        of_run = file.name == "scores.csv"
        folder = file.parent / ("tables" if of_run else f"tables_{file.stem}")
        run = RunFolder(file.parent).record() if of_run else {}
        p, option = max_fpr, "--max-fpr"
        if p is None:
            p, option = run.get("max_fpr", MAX_FPR), f"{file.parent / 'run.json'}: max_fpr"
        check_number(option, p, 0, 1, above=True)
        labels = str(run.get("title", file)), str(run.get("data_label", "data not stated"))
        metrics = evaluate_scores(read_scores(file), p)
        tables.append((folder, (metrics, *labels), remarks(run, file.parent)))
    for folder, table, said in tables:
        show(*table, **said)
        if write:
            print(f"wrote {write_tables(folder, *table, **said)}")


def _draw(folders: list[Path]) -> None:
    """All pictures of runs; in a sweep a run draws only some (``pictures.in_sweeps``)."""
    from asd.pictures.run_pictures import run_pictures

    for folder in folders:
        print(*run_pictures(folder), sep="\n")


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0, or 2 for an input that the user must mend."""
    parser = argparse.ArgumentParser(
        prog="python -m asd.evaluate",
        description="Compute metrics and tables from clip scores, without training.",
    )
    add = parser.add_argument
    add("target", nargs="+", type=Path, help="a run's folder, or a scores file")
    add("--max-fpr", type=float, help="upper false-positive rate of pAUC (default: the run's own)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--no-write", action="store_true", help="print only")
    where.add_argument("--pictures", action="store_true", help="draw each run's pictures instead")
    options = parser.parse_args(arguments)
    if options.pictures:
        return exit_status(lambda: _draw(options.target))
    return exit_status(
        lambda: evaluate(options.target, options.max_fpr, write=not options.no_write)
    )


if __name__ == "__main__":
    program(main)
