"""Metrics and tables of a run again, from its scores.csv alone: no model, no audio, no torch.

python -m asd.evaluate RUN_FOLDER_OR_SCORES_CSV... [--max-fpr 0.1] [--out DIR | --no-write]
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asd.errors import AsdError

RUNS = Path("runs")  # paths.runs, unless the config says otherwise
MAX_FPR = 0.1  # the paper's p, for a scores file whose run does not say
NO_LABEL = "data not stated"


@dataclass(frozen=True)
class Target:
    """A scores file and what its run says of it."""

    scores: Path
    title: str
    data_label: str
    max_fpr: float

    @property
    def tables(self) -> Path:
        """Where the tables go: beside the scores."""
        own = self.scores.name == "scores.csv"
        return self.scores.parent / ("tables" if own else f"tables_{self.scores.stem}")


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
    found = []
    for record in sorted(runs.glob("*/run.json")):
        try:
            content = json.loads(record.read_text())
        except ValueError:
            continue  # a damaged record is reported when its own run is asked for
        names = {record.parent.name, content.get("identity")}
        if target in names | {(content.get("mlflow") or {}).get("run_id")}:
            found.append(record.parent)
    if not found:
        raise AsdError(
            f"{target}: no such run folder or scores file, and no run of that name, identity or "
            f"MLflow run id in {runs}/"
        )
    return found[-1]


def describe(scores: Path, max_fpr: float | None) -> Target:
    """What run.json beside a scores.csv says: title, data_label, max_fpr, each optional.

    Args:
        scores: the scores file. One of another name than scores.csv has no run.json.
        max_fpr: the user's choice; None takes the run's own, or else the paper's 0.1.

    Raises:
        AsdError: run.json cannot be read.
    """
    path = scores.parent / "run.json"
    run: Any = {}
    if scores.name == "scores.csv" and path.is_file():
        try:
            run = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise AsdError(f"{path}: cannot be read as JSON: {error}") from error
        if not isinstance(run, dict):
            raise AsdError(f"{path}: must hold a JSON object, with keys such as title")
    for key in ("title", "data_label"):
        if not isinstance(run.get(key, ""), str):
            raise AsdError(f"{path}: {key!r} must be a text")
    recorded = run.get("max_fpr", MAX_FPR)
    if isinstance(recorded, bool) or not isinstance(recorded, int | float):
        raise AsdError(f"{path}: 'max_fpr' must be a number")
    return Target(
        scores,
        run.get("title", str(scores)),
        run.get("data_label", NO_LABEL),
        recorded if max_fpr is None else max_fpr,
    )


def evaluate(targets: list[str], max_fpr: float | None, out: Path | None, write: bool) -> None:
    """Compute, write and print the tables of each target; nothing is written if one is invalid.

    Raises:
        AsdError: a target is missing or invalid, or the tables cannot be written.
    """
    from rich.console import Console

    from asd.scoring.clip_scores import read_scores
    from asd.scoring.metrics import evaluate_scores
    from asd.scoring.roc import check_max_fpr
    from asd.scoring.tables import terminal, write_tables

    if max_fpr is not None:
        check_max_fpr(max_fpr)
    found = [describe(resolve(target), max_fpr) for target in targets]
    folders = [_folder(target, out, several=len(found) > 1) for target in found]
    twice = next((f for i, f in enumerate(folders) if f in folders[:i]), None)
    if twice is not None and write:
        raise AsdError(f"{twice}: the tables of two targets would both go here; run them singly")
    results = [evaluate_scores(read_scores(t.scores), t.max_fpr) for t in found]

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a title's dash must not stop an ASCII terminal
    console = Console(width=None if sys.stdout.isatty() else 120, soft_wrap=False)
    for target, metrics, folder in zip(found, results, folders, strict=True):
        files = write_tables(folder, metrics, target.title, target.data_label) if write else []
        console.print(terminal(metrics, target.title, target.data_label))
        for file in files:
            print(f"wrote {file}")


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
    try:
        evaluate(options.target, options.max_fpr, options.out, write=not options.no_write)
        sys.stdout.flush()
    except AsdError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # "| head": the reader has gone, which is no fault
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _folder(target: Target, out: Path | None, several: bool) -> Path:
    if out is None:
        return target.tables
    if not several:
        return out
    resolved = target.scores.resolve()
    return out / (resolved.parent.name if resolved.name == "scores.csv" else resolved.stem)


if __name__ == "__main__":
    sys.exit(main())
