"""Metrics and tables of a run again, from its scores.csv alone: no model, no audio, no torch.

python -m asd.evaluate RUN_FOLDER_OR_SCORES_CSV... [--max-fpr 0.1] [--out DIR | --no-write]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from asd.errors import AsdError
from asd.exit_status import exit_status
from asd.experiment.run_folder import RunFolder
from asd.options import check_number

RUNS = Path("runs")  # paths.runs, unless the config says otherwise
MAX_FPR = 0.1  # the paper's p, for a scores file whose run does not say
NO_LABEL = "data not stated"


def resolve(target: str, runs: Path = RUNS) -> Path:
    """The scores file that the user means.

    Args:
        target: a run's folder, its name or identity, its MLflow run id, or a CSV file.
        runs: where run folders are looked for by name.

    Raises:
        AsdError: there is none.
    """
    path = Path(target)
    if not path.exists():
        path = _by_name(target, runs)
    if path.is_dir():
        if not (path / "scores.csv").is_file():
            raise AsdError(f"{path}: no scores.csv in this folder; is it a finished run's folder?")
        return path / "scores.csv"
    return path


def _by_name(target: str, runs: Path) -> Path:
    matching = []
    for record in sorted(runs.glob("*/run.json")):
        try:
            content = json.loads(record.read_text())
        except ValueError:
            continue  # a damaged record is reported when its own run is asked for
        names = {record.parent.name, content.get("identity")}
        if target in names | {(content.get("mlflow") or {}).get("run_id")}:
            matching.append(record.parent)
    if not matching:
        raise AsdError(
            f"{target}: no such run folder or scores file, and no run of that name, identity or "
            f"MLflow run id in {runs}/"
        )
    return matching[-1]


def describe(scores: Path) -> tuple[str, str, float]:
    """Title, data label and p of the partial AUC, as run.json beside a scores.csv says them.

    A scores file of another name has no run.json; what is not said is the file's name, "data not
    stated" and the paper's 0.1.

    Raises:
        AsdError: run.json is damaged.
    """
    run = RunFolder(scores.parent).record() if scores.name == "scores.csv" else {}
    max_fpr = run.get("max_fpr", MAX_FPR)
    check_number(f"{scores.parent / 'run.json'}: max_fpr", max_fpr, 0, 1, above=True)
    return str(run.get("title", scores)), str(run.get("data_label", NO_LABEL)), max_fpr


def evaluate(targets: list[str], max_fpr: float | None, out: Path | None, write: bool) -> None:
    """Compute, write and print the tables of each target; nothing is written if one is invalid.

    Args:
        targets: see ``resolve``.
        max_fpr: p of the partial AUC; None: the runs' own.
        out: folder for the tables; None: beside the scores.
        write: whether to write them.

    Raises:
        AsdError: a target is missing or invalid, or the tables cannot be written.
    """
    from asd.scoring.clip_scores import read_scores
    from asd.scoring.metrics import evaluate_scores
    from asd.scoring.tables import show, write_tables

    if max_fpr is not None:
        check_number("--max-fpr", max_fpr, 0, 1, above=True)
    files = [resolve(target) for target in targets]
    folders = [_folder(file, out, several=len(files) > 1) for file in files]
    twice = next((f for i, f in enumerate(folders) if f in folders[:i]), None)
    if twice is not None and write:
        raise AsdError(f"{twice}: the tables of two targets would both go here; run them singly")
    tables = []
    for file in files:
        title, data_label, p = describe(file)
        metrics = evaluate_scores(read_scores(file), p if max_fpr is None else max_fpr)
        tables.append((metrics, title, data_label))
    for table, folder in zip(tables, folders, strict=True):
        written = write_tables(folder, *table) if write else []
        show(*table)
        for file in written:
            print(f"wrote {file}")


def _folder(scores: Path, out: Path | None, several: bool) -> Path:
    """Where a file's tables go: beside it, or into ``out``, or a folder of it in there."""
    is_run = scores.name == "scores.csv"
    if out is None:
        return scores.parent / ("tables" if is_run else f"tables_{scores.stem}")
    return out / (scores.resolve().parent.name if is_run else scores.stem) if several else out


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0, or 2 for an input that the user must mend."""
    parser = argparse.ArgumentParser(
        prog="python -m asd.evaluate",
        description="Compute metrics and tables from clip scores, without training.",
    )
    parser.add_argument("target", nargs="+", help="a run's folder, name or MLflow id; or scores")
    parser.add_argument(
        "--max-fpr",
        type=float,
        help=f"upper false-positive rate of pAUC (default: the run's own, else {MAX_FPR})",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--out",
        type=Path,
        help="folder for the tables (default: tables/ beside the scores); "
        "with several targets, one folder each below it",
    )
    where.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args(arguments)
    return exit_status(
        lambda: evaluate(options.target, options.max_fpr, options.out, not options.no_write)
    )


if __name__ == "__main__":
    sys.exit(main())
