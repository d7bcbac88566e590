"""Where a report's figures come from: when, by what command, of which code and which runs."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Sequence
from pathlib import Path

from asd.documents.blocks import Block, CellLines, Heading, Line, Table, Text, plain_row
from asd.experiment.environment import git_commit
from asd.reporting.runs import Run
from asd.reporting.sections import Section
from asd.secrets import redacted


def provenance(parts: Sequence[Section], words: Sequence[str], out: Path) -> list[Block]:
    """The foot of a report.

    Args:
        parts: its sections.
        words: that the program was given.
        out: where the report will stand; links to run folders are relative to it.
    """
    command = redacted(shlex.join(["python", "-m", "asd.report", *words]))
    rows = [_row(row.label, run, out) for part in parts for row in part.rows for run in row.runs]
    commits = dict.fromkeys(row[-1][0].text for row in rows)
    text = (
        f"Made {_time(time.time())} UTC by: {command} (code of {_short(git_commit())}). "
        f"{len(rows)} runs, of code of {', '.join(commits)}."
    )
    header = ["row", "seed", "run", "ended, UTC", "commit"]
    table = Table(header, rows, texts=5, folded="The runs of this report")
    return [Heading("Provenance", 2), Text(text), table]


def _row(label: str, run: Run, out: Path) -> list[CellLines]:
    folder = Line(run.folder.name, link=Path(os.path.relpath(run.folder, out)).as_posix())
    commit = _short(str(run.tags.get("mlflow.source.git.commit", "unknown")))
    return [*plain_row(label, str(run.seed)), [folder], *plain_row(_time(run.finished), commit)]


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds))


def _short(commit: str) -> str:
    return commit[:8] + "+changes" * ("+" in commit)
