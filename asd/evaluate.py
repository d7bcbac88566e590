"""Metrics and tables of a run again, from its scores.csv alone: no model, no audio, no torch.

python -m asd.evaluate RUN_FOLDER_OR_SCORES_CSV... [--max-fpr 0.1] [--out DIR | --no-write]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from asd.errors import AsdError
from asd.exit_status import exit_status, program
from asd.experiment.run_folder import RunFolder
from asd.options import check_number

RUNS = Path("runs")  # paths.runs, unless the config says otherwise
MAX_FPR = 0.1  # the paper's p, for a scores file whose run does not say


def resolve(target: str, runs: Path = RUNS) -> Path:
    """The scores file that the user means.

    Args:
        target: a run's folder, its name or identity, its MLflow run id, or a CSV file.
        runs: where run folders are looked for by name.

    Raises:
        AsdError: there is none.
    """
    path = Path(target) if Path(target).exists() else _by_name(target, runs)
    if path.is_dir() and not (path / "scores.csv").is_file():
        raise AsdError(f"{path}: no scores.csv in this folder; is it a finished run's folder?")
    return path / "scores.csv" if path.is_dir() else path


def _by_name(target: str, runs: Path) -> Path:
    for file in sorted(runs.glob("*/run.json"), reverse=True):
        try:
            run = RunFolder(file.parent).record()
        except AsdError:
            continue  # a damaged record is reported when its own run is asked for
        mlflow = run.get("mlflow") or {}
        if target in (file.parent.name, run.get("identity"), mlflow.get("run_id")):
            return file.parent
    raise AsdError(
        f"{target}: no such run folder or scores file, and no run of that name, identity or "
        f"MLflow run id in {runs}/"
    )


def evaluate(targets: list[str], max_fpr: float | None, out: Path | None, write: bool) -> None:
    """Compute, write and print the tables of each target; nothing is written if one is invalid.

    What the run.json beside a scores.csv does not say is the file's name, "data not stated" and
    the paper's p.

    Args:
        targets: see ``resolve``.
        max_fpr: p of the partial AUC; None: the runs' own.
        out: folder for the tables, with one folder each of several; None: beside the scores.
        write: whether to write them.

    Raises:
        AsdError: a target is missing or invalid, or the tables cannot be written.
    """
    from asd.scoring.clip_scores import read_scores
    from asd.scoring.metrics import Metrics, evaluate_scores
    from asd.scoring.tables import remarks, show, write_tables

    tables: list[tuple[Path, tuple[Metrics, str, str], dict[str, Any]]] = []
    for file in map(resolve, targets):
        of_run = file.name == "scores.csv"
        folder = out or file.parent / ("tables" if of_run else f"tables_{file.stem}")
        if out and len(targets) > 1:
            folder = out / (file.resolve().parent.name if of_run else file.stem)
        if write and folder in [other for other, *_ in tables]:
            raise AsdError(f"{folder}: the tables of two targets would go here; run them singly")
        run = RunFolder(file.parent).record() if of_run else {}
        p, option = max_fpr, "--max-fpr"
        if p is None:
            p, option = run.get("max_fpr", MAX_FPR), f"{file.parent / 'run.json'}: max_fpr"
        check_number(option, p, 0, 1, above=True)
        labels = str(run.get("title", file)), str(run.get("data_label", "data not stated"))
        metrics = evaluate_scores(read_scores(file), p)
        tables.append((folder, (metrics, *labels), remarks(run, file.parent)))
    for folder, table, said in tables:
        written = write_tables(folder, *table, **said) if write else []
        show(*table, **said)
        for file in written:
            print(f"wrote {file}")


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0, or 2 for an input that the user must mend."""
    parser = argparse.ArgumentParser(
        prog="python -m asd.evaluate",
        description="Compute metrics and tables from clip scores, without training.",
    )
    add = parser.add_argument
    add("target", nargs="+", help="a run's folder, name or MLflow id; or scores")
    add("--max-fpr", type=float, help="upper false-positive rate of pAUC (default: the run's own)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--out", type=Path, help="folder for the tables (default: by the scores)")
    where.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args(arguments)
    return exit_status(
        lambda: evaluate(options.target, options.max_fpr, options.out, not options.no_write)
    )


if __name__ == "__main__":
    program(main)
